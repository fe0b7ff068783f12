// In the place of a native module: without these, webtorrent takes it that there is no WebRTC.
export default {}
export const RTCPeerConnection = undefined
export const RTCSessionDescription = undefined
export const RTCIceCandidate = undefined
