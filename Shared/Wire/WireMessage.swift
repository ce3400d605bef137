// What the generated messages (Generated/) stand on: the protocol, the error, and what reads the parts of the C form of a
// message. WireArena.swift holds the C form while it is packed or read. Only values leave this module, and WirePacking, which
// is lent.

import CProtobufC

/// A message of the contract as a Swift value. The structs in Generated/ conform; `proto/generate` writes them.
public protocol WireMessage: Sendable, Hashable {
    /// The proto name: "sightglass.v1.Segment".
    static var fullName: String { get }
    /// All fields absent.
    init()
    /// Decodes a message; unknown fields are passed over, a string ends at its first NUL.
    init(wire: UnsafeRawBufferPointer) throws(WireError)
    /// Lends the message ready to be packed, so that it can be written where it is needed, without an array in between.
    func withPacking<R>(_ body: (WirePacking) -> R) -> R
}

extension WireMessage {
    /// Decodes a message from bytes.
    public init(wire bytes: [UInt8]) throws(WireError) {
        let result: Result<Self, WireError> = bytes.withUnsafeBytes { buffer in
            do throws(WireError) { return .success(try Self(wire: buffer)) } catch { return .failure(error) }
        }
        self = try result.get()
    }

    /// The encoded message.
    public func encoded() -> [UInt8] {
        withPacking { packing in
            [UInt8](unsafeUninitializedCapacity: packing.sizeBytes) { buffer, count in
                count = buffer.baseAddress.map { packing.pack(into: UnsafeMutableRawPointer($0)) } ?? 0
            }
        }
    }

    /// How many bytes the encoded message has.
    public var encodedBytes: Int { withPacking(\.sizeBytes) }
}

/// Bytes that are not the message they should be.
public struct WireError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The proto name of the message that was expected.
    public let messageName: String
    /// How many bytes there were.
    public let sizeBytes: Int
    /// For a person.
    public var description: String { "\(sizeBytes) bytes are not a \(messageName)" }
}

/// The version of the contract that this code speaks: major * 1000 + minor.
public enum WireVersion {
    /// 1.5.
    public static let current: UInt32 = 1005

    /// Whether a server of `current` answers a caller of `version`: same major, and at most one minor behind. A newer
    /// minor of the same major is answered too, because fields are only added.
    public static func answers(_ version: UInt32) -> Bool {
        version / 1000 == current / 1000 && version + 1 >= current
    }
}

/// What a repeated call does, from the contract's `idempotency_level`.
public enum Idempotency: Sendable {
    /// Acts again.
    case none
    /// Has the same effect as one call.
    case idempotent
    /// Has no effect.
    case noSideEffects
}

/// A method of a service, with the types of its two messages.
public struct RPCMethod<Request: WireMessage, Reply: WireMessage>: Sendable {
    /// As it stands in the envelope: "sightglass.v1.Indexer/RecordMedia".
    public let name: String
    /// What a repeated call does.
    public let idempotency: Idempotency

    /// Names a method; the generated code makes these.
    public init(name: String, idempotency: Idempotency) {
        self.name = name
        self.idempotency = idempotency
    }

    /// Whether a client may send it again when it does not know if the first one arrived.
    public var isSafeToRetry: Bool { idempotency != .none }
}

func wireMessages<C, T>(
    _ pointers: UnsafeMutablePointer<UnsafeMutablePointer<C>?>?, _ count: Int, _ each: (UnsafePointer<C>) -> T
) -> [T] {
    guard let pointers else { return [] }
    return (0..<count).compactMap { index in pointers[index].map { each(UnsafePointer($0)) } }
}

func wireStrings(_ pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ count: Int) -> [String] {
    guard let pointers else { return [] }
    return (0..<count).compactMap { index in pointers[index].map { String(cString: $0) } }
}

func wireScalars<C, T>(_ values: UnsafeMutablePointer<C>?, _ count: Int, _ each: (C) -> T) -> [T] {
    guard let values else { return [] }
    return (0..<count).map { each(values[$0]) }
}
