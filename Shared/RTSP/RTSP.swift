// RTSP: our client of cameras (RFC 2326). Decisions are pure state machines; one thread carries the connections of many.
//
//   RTSPURL, SessionDescription, RTSPFields   what cameras write, read with their quirks
//   RTSPMessage, RTSPStreamParser             the bytes of a connection to messages and interleaved frames
//   RTSPChallenge, RTSPAuthenticator          who we say we are
//   RTSPClientMachine, RTSPFailure            one session, from OPTIONS to TEARDOWN, and why it ended
//   RTSPSession                               one camera: joins all of these on a connection
//   RTSPTrackReader, RTP/                     RTP packets in order, their times, and payloads to whole media packets; RTCP
//   IO/                                       SocketLoop: TCP and TLS connections on one thread, with few wake-ups
