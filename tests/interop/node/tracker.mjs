// bittorrent-tracker over HTTP and UDP: node tracker.mjs PORT. Runs until it is killed.
import { Server } from 'bittorrent-tracker'

const server = new Server({ http: true, udp: true, ws: false, stats: false })
server.on('error', (error) => console.log('error', error.message))
server.on('warning', (warning) => console.log('warning', warning.message))
for (const event of ['start', 'update', 'complete', 'stop']) {
  server.on(event, (address) => console.log(event, address))
}
server.listen(Number(process.argv[2]), { http: '127.0.0.1', udp4: '127.0.0.1', udp6: '::1' })
