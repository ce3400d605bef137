// WireArena: the memory of one message's C form, while it is packed or read. Everything in it is freed at once.
//
// A message has dozens of small parts; taking them from a few large blocks costs a fraction of one allocation each.

import CProtobufC

/// Owns the C form of one message: every pointer that it gives stays valid until the arena is released.
final class WireArena {
    /// Holds the parts of most messages: an envelope's head takes 300 bytes, a segment's record 700.
    private static let firstBlockBytes = 1_024
    /// Blocks double up to here; larger parts (a picture, a piece of a segment) get blocks of their own.
    private static let largestBlockBytes = 64 << 10
    /// Enough for any C type.
    private static let alignment = 16
    /// Bytes from this length on are not copied into the arena, nor out of it: a copy of less costs no more than the array's
    /// place in a list.
    private static let lentBytes = 4 << 10

    private var blocks: [UnsafeMutableRawPointer] = []
    private var room = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var nextBlockBytes = WireArena.firstBlockBytes
    /// Kept until the arena is released, because the C form points into them.
    private var lent: [[UInt8]] = []
    /// Where protobuf-c writes parts of `lentBytes` and more while it reads: arrays, so that the bytes of a message are taken
    /// over as its field's value.
    private var written: [(start: UnsafeMutableRawPointer, array: [UInt8])] = []
    /// protobuf-c's way to this arena; made when a message is read.
    private var reading: UnsafeMutablePointer<ProtobufCAllocator>?

    deinit {
        blocks.forEach { $0.deallocate() }
        reading?.deallocate()
    }

    /// Takes room of at least so many bytes, aligned for any C type.
    fileprivate func allocate(_ sizeBytes: Int) -> UnsafeMutableRawPointer {
        let size = (max(sizeBytes, 1) + Self.alignment - 1) & ~(Self.alignment - 1)
        if size > room.count {
            if size > Self.largestBlockBytes / 4 { return newBlock(ofBytes: size) }
            room = UnsafeMutableRawBufferPointer(start: newBlock(ofBytes: nextBlockBytes), count: nextBlockBytes)
            nextBlockBytes = min(nextBlockBytes * 2, Self.largestBlockBytes)
            // A block may still be too small for a part of middle size.
            if size > room.count { return newBlock(ofBytes: size) }
        }
        let taken = UnsafeMutableRawBufferPointer(rebasing: room[..<size])
        room = UnsafeMutableRawBufferPointer(rebasing: room[size...])
        return taken.baseAddress ?? newBlock(ofBytes: size)
    }

    private func newBlock(ofBytes size: Int) -> UnsafeMutableRawPointer {
        let block = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: Self.alignment)
        blocks.append(block)
        return block
    }

    private func allocateForReading(_ sizeBytes: Int) -> UnsafeMutableRawPointer {
        guard sizeBytes >= Self.lentBytes else { return allocate(sizeBytes) }
        var start: UnsafeMutableRawPointer?
        let array = [UInt8](unsafeUninitializedCapacity: sizeBytes) { buffer, count in
            start = UnsafeMutableRawPointer(buffer.baseAddress)
            count = sizeBytes
        }
        guard let start else { return allocate(sizeBytes) }
        // Sound: the elements of an array of bytes lie in one heap object, behind its header, aligned as malloc aligns. The
        // arena alone holds the array until `taken` gives it away, which is after protobuf-c wrote all of it.
        written.append((start, array))
        return start
    }

    /// The bytes of a field that protobuf-c read into this arena; to be called once for each field.
    func taken(_ data: ProtobufCBinaryData) -> [UInt8] {
        guard let start = data.data, data.len > 0 else { return [] }
        if data.len >= Self.lentBytes,
            let index = written.firstIndex(where: { $0.start == UnsafeMutableRawPointer(start) }),
            written[index].array.count == data.len
        {
            return written.remove(at: index).array
        }
        return [UInt8](UnsafeBufferPointer(start: start, count: data.len))
    }

    /// What protobuf-c allocates with when it reads a message into this arena. It frees nothing.
    var allocator: UnsafeMutablePointer<ProtobufCAllocator> {
        if let reading { return reading }
        let made = UnsafeMutablePointer<ProtobufCAllocator>.allocate(capacity: 1)
        // Sound: protobuf-c calls it only while it reads, and the generated code keeps the arena until it has the values.
        made.initialize(
            to: ProtobufCAllocator(
                alloc: { arena, size in
                    arena.map { Unmanaged<WireArena>.fromOpaque($0).takeUnretainedValue().allocateForReading(size) }
                },
                free: { _, _ in }, allocator_data: Unmanaged.passUnretained(self).toOpaque()))
        reading = made
        return made
    }

    /// Room for one C value; the caller initializes it.
    func make<T>(_ type: T.Type) -> UnsafeMutablePointer<T> {
        allocate(MemoryLayout<T>.size).bindMemory(to: T.self, capacity: 1)
    }

    func string(_ value: String) -> UnsafeMutablePointer<CChar> {
        var value = value
        return value.withUTF8 { utf8 in
            let room = allocate(utf8.count + 1)
            if let base = utf8.baseAddress { room.copyMemory(from: base, byteCount: utf8.count) }
            room.storeBytes(of: 0, toByteOffset: utf8.count, as: UInt8.self)
            return room.bindMemory(to: CChar.self, capacity: utf8.count + 1)
        }
    }

    func bytes(_ value: [UInt8]) -> ProtobufCBinaryData {
        if value.count >= Self.lentBytes { return lend(value) }
        let room = allocate(value.count)
        value.withUnsafeBytes { source in
            if let base = source.baseAddress { room.copyMemory(from: base, byteCount: source.count) }
        }
        return ProtobufCBinaryData(len: value.count, data: room.bindMemory(to: UInt8.self, capacity: value.count))
    }

    private func lend(_ value: [UInt8]) -> ProtobufCBinaryData {
        lent.append(value)
        // Sound: the elements of an array of bytes lie in one heap object. The arena holds a reference to it, so that it stays
        // and nobody else can write to it; protobuf-c only reads it.
        let start = value.withUnsafeBufferPointer { UnsafeMutablePointer(mutating: $0.baseAddress) }
        return ProtobufCBinaryData(len: value.count, data: start)
    }

    func pointers<T, C>(
        _ values: [T], _ each: (T) -> UnsafeMutablePointer<C>
    ) -> UnsafeMutablePointer<UnsafeMutablePointer<C>?>? {
        scalars(values) { each($0) as UnsafeMutablePointer<C>? }
    }

    func scalars<T, C>(_ values: [T], _ each: (T) -> C) -> UnsafeMutablePointer<C>? {
        guard !values.isEmpty else { return nil }
        let room = allocate(MemoryLayout<C>.stride * values.count).bindMemory(to: C.self, capacity: values.count)
        for (index, value) in values.enumerated() { (room + index).initialize(to: each(value)) }
        return room
    }
}

/// A message that is ready to be packed. Lent by `withPacking`; not to be kept.
public struct WirePacking {
    private enum Form {
        /// A generated C struct.
        case structure(UnsafePointer<ProtobufCMessage>)
        case encoded(UnsafeRawBufferPointer)
    }

    private let form: Form
    /// How many bytes `pack` writes.
    public let sizeBytes: Int

    /// - Parameter filled: a generated C struct; they all begin with a ProtobufCMessage.
    init<C>(_ filled: UnsafeMutablePointer<C>) {
        let message = UnsafeRawPointer(filled).assumingMemoryBound(to: ProtobufCMessage.self)
        form = .structure(message)
        sizeBytes = protobuf_c_message_get_packed_size(message)
    }

    /// Of a message that is there in its encoded form only.
    public init(encoded bytes: UnsafeRawBufferPointer) {
        form = .encoded(bytes)
        sizeBytes = bytes.count
    }

    /// Writes the encoded message to where there is room for `sizeBytes`, and gives how many bytes it wrote.
    @discardableResult public func pack(into room: UnsafeMutableRawPointer) -> Int {
        switch form {
        case .structure(let message):
            return protobuf_c_message_pack(message, room.assumingMemoryBound(to: UInt8.self))
        case .encoded(let bytes):
            if let base = bytes.baseAddress { room.copyMemory(from: base, byteCount: bytes.count) }
            return bytes.count
        }
    }
}
