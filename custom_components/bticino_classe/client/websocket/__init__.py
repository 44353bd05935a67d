"""A WebSocket to the cloud that stays subscribed."""
