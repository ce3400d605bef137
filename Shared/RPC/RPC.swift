// RPC: how the services talk. Requests and replies (nng REQ/REP) and hints (nng PUB/SUB) over ipc, tcp and tls+tcp.
//
//     let server = RPCServer(addresses: [try RPCAddress(parsing: "ipc:///run/sightglass/indexer.rpc")])
//     server.handle(IndexerMethods.recordMedia) { request, context in ... }
//     try await server.run()
//
//     let indexer = RPCClient(role: "indexer", addresses: [address], caller: "archiver/archiver-0")
//     let reply = try await indexer.call(IndexerMethods.recordMedia, request, timeout: .seconds(5))
//
// Way of a request: RPCClient -> CallSlot (one REQ context) -> nng -> ReplySlot (one REP context) -> RequestCheck (is it well
// formed?) -> RequestTable (may it run?) -> the handler, in a Swift task that is cancelled at the deadline, when the caller
// gives up or its connection goes away, and when the server has waited long enough for it while stopping.
//
// What holds:
//  1. A request has one answer: the handler's, or an error that says why there is none. Nothing is sent twice by nng
//     (its resend is off); RPCClient repeats only what is safe (RetrySchedule).
//  2. Work in progress is bounded by count and by bytes. What is over the bound is answered RESOURCE_EXHAUSTED at once;
//     Health/Check and Calls/Cancel are answered even then.
//  3. nng's threads run callbacks that read an envelope's head, refuse, hand over or resume, and do not block. One of them at a
//     time is lent to a handler until that first waits (RPCServer.run). Calls of nng that may block (closing, resolving a
//     listener's name) run on a thread of their own. No Swift thread ever waits inside nng.
//  4. A body is written once, into the message that is sent, and read once, from the message that came (EnvelopeFrame).
//  5. nng 1.5's defects that others could use against us are repaired or worked around (Shared/CNNGRepair, RPCPulse,
//     TLSUpkeep).
//  6. A closed peer, garbage on a socket or a message over the limit ends that connection only.
//
// Files: RPCError, RPCAddress, RPCTLS, RPCContext, RPCLimits are values. NNG*.swift is the boundary to C: who owns which
// pointer is written there. RPCServer/Listening/ReplySlot/RequestTable/RequestCheck serve; RPCClient/CallSlot/RetrySchedule
// call; EnvelopeFrame is what both read and write. HintPublisher, HintSubscriber, HintSequence carry hints.
// RPCPulse tells a process whether nng still works in it; TLSUpkeep ends connections that it lost.
