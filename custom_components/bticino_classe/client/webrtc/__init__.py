"""WebRTC calls over the cloud's signaling socket."""
