// RTSP: our client of cameras and media servers (RFC 2326). Decisions are pure state machines; one thread carries the connections
// of many.
//
//   RTSPURL, SessionDescription, RTSPFields   what cameras write, read with their quirks
//   RTSPMessage, RTSPStreamParser             the bytes of a connection to messages and interleaved frames
//   RTSPChallenge, RTSPAuthenticator          who we say we are
//   RTSPConversation                          one request at a time, answers, users and keepalives: what both of the next share
//   RTSPClientMachine, RTSPFailure            one session, from OPTIONS to TEARDOWN, and why it ended
//   RTSPSession                               one camera: joins all of these on a connection
//   RTSPTrackReader, RTP/                     RTP packets in order, their times, and payloads to whole media packets; RTCP
//   RTSPPublisherMachine, RTSPAnnouncement    one publication at a media server, and what it offers
//   RTSPPublication, OutgoingFlow             one publication: joins these with RTP/'s writers on a connection
//   SourceEvent                               what a session tells, and what can be asked of it
//   SessionStep                               how far it came, for whoever asks what is wrong with a camera
//   HTTP/                                     cameras that give pictures over HTTP, still or as a stream, as one session too
//   IO/                                       SocketLoop: TCP and TLS connections on one thread, with few wake-ups
