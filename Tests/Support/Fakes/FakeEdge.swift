// A faked capture-controller, mqtt-edge-adapter and cloud-uploader: those that the others call on the camera's, the broker's and the
// cloud's side.

import RPC
import Wire

/// The capture-controller as adapter, archiver and command line see it.
public final class FakeController: Sendable {
    /// Its socket.
    public let server: FakeServer
    /// Knows nothing.
    public let listStatus: FakeMethod<ListStatusRequest, ListStatusReply>
    /// Gives four bytes.
    public let takeSnapshot: FakeMethod<TakeSnapshotRequest, TakeSnapshotReply>
    /// Says that every source is being recorded.
    public let ensureFootage: FakeMethod<EnsureFootageRequest, EnsureFootageReply>
    /// Has no file.
    public let readSegment: FakeMethod<ReadSegmentRequest, ReadSegmentReply>

    /// A faked controller; call `server.start()`.
    public init(address: String, log: (@Sendable (String) -> Void)? = nil) throws {
        server = try FakeServer(address: address, log: log)
        listStatus = FakeMethod(CaptureControllerMethods.listStatus, on: server) { _, _ in
            ListStatusReply(controllerID: "fake-controller")
        }
        takeSnapshot = FakeMethod(CaptureControllerMethods.takeSnapshot, on: server) { _, _ in
            TakeSnapshotReply(capturedUs: 1_700_000_000_000_000, picture: [0xFF, 0xD8, 0xFF, 0xD9])
        }
        ensureFootage = FakeMethod(CaptureControllerMethods.ensureFootage, on: server) { request, _ in
            EnsureFootageReply(
                sources: request.sources.map {
                    EnsuredSource(source: $0, state: .recording, availableFromUs: request.window?.startUs)
                })
        }
        readSegment = FakeMethod(CaptureControllerMethods.readSegment, on: server) { request, _ in
            throw RPCError.notFound("no file \(request.path ?? "")")
        }
    }
}

/// The mqtt-edge-adapter as controllers see it.
public final class FakeAdapter: Sendable {
    /// Its socket.
    public let server: FakeServer
    /// Takes every picture.
    public let publishSnapshot: FakeMethod<PublishSnapshotRequest, PublishSnapshotReply>
    /// Takes every status.
    public let reportStatus: FakeMethod<ReportStatusRequest, ReportStatusReply>

    /// A faked adapter; call `server.start()`.
    public init(address: String, log: (@Sendable (String) -> Void)? = nil) throws {
        server = try FakeServer(address: address, maximumMessageBytes: 32 << 20, log: log)
        publishSnapshot = FakeMethod(MqttEdgeAdapterMethods.publishSnapshot, on: server) { _, _ in
            PublishSnapshotReply(published: true)
        }
        reportStatus = FakeMethod(MqttEdgeAdapterMethods.reportStatus, on: server) { _, _ in ReportStatusReply() }
    }
}

/// The cloud-uploader as the command line sees it.
public final class FakeUploader: Sendable {
    /// Its socket.
    public let server: FakeServer
    /// Finds every blob as it must be.
    public let verifyBlob: FakeMethod<VerifyBlobRequest, VerifyBlobReply>

    /// A faked uploader; call `server.start()`.
    public init(address: String, log: (@Sendable (String) -> Void)? = nil) throws {
        server = try FakeServer(address: address, log: log)
        verifyBlob = FakeMethod(CloudUploaderMethods.verifyBlob, on: server) { request, _ in
            VerifyBlobReply(matches: true, readBytes: request.deep == true ? request.sizeBytes : 0)
        }
    }
}
