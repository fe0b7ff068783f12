// A client that uses webtorrent: node webtorrent.mjs TORRENT-OR-MAGNET DIRECTORY PORT. Runs until it is killed.
import { readdirSync } from 'node:fs'
import WebTorrent from 'webtorrent'

const [source, directory, port] = process.argv.slice(2)
const client = new WebTorrent({
  torrentPort: Number(port),
  dht: false,
  lsd: false,
  natPmp: false,
  natUpnp: false,
  // By default, it accepts plain connections but makes only encrypted ones, which our seed does not support.
  secure: readdirSync(directory).length > 0 ? 1 : 0,
  utPex: false,
  utp: false
})
const torrent = client.add(source, { path: directory })
for (const emitter of [client, torrent]) {
  emitter.on('error', (error) => console.log('error', error.message))
}
torrent.on('warning', (warning) => console.log('warning', warning.message))
for (const event of ['metadata', 'ready', 'done']) {
  torrent.on(event, () => console.log(event))
}
torrent.on('wire', (wire, address) => console.log('wire', address))
