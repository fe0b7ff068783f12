// Replaces a native module: with undefined exports, webtorrent assumes that WebRTC is not available.
export default {}
export const RTCPeerConnection = undefined
export const RTCSessionDescription = undefined
export const RTCIceCandidate = undefined
