// The fields of the messages about video that is decoded on: 12 and 13 of WorkMessage.swift, which has the table.
import Media

enum LiveFields {
    private static let pictures: UInt8 = 1
    private static let stream: UInt8 = 2
    private static let anew: UInt8 = 1
    private static let wanted: UInt8 = 2

    static func bytes(_ order: LiveOrder) -> [UInt8] {
        var fields: [UInt8]
        switch order {
        case .pictures(let style):
            fields = [pictures, WorkCodes.format(style.format), UInt8(style.quality)]
            for side in [style.maximumWidthPx, style.maximumHeightPx] { fields.append(UInt64(side), bytes: 2) }
        case .stream(let coding):
            fields = [stream, WorkCodes.codec(coding.codec)]
            for side in [coding.maximumWidthPx, coding.maximumHeightPx] { fields.append(UInt64(side), bytes: 2) }
            fields.append(UInt64(coding.maximumMillihertz), bytes: 4)
            fields.append(UInt64(coding.bitRateBps), bytes: 4)
        }
        return fields
    }

    static func order(_ reader: inout ByteReader) throws(WorkProtocolError) -> LiveOrder {
        let error = WorkProtocolError("an order of an unknown kind, codec, format or quality")
        switch reader.number(1).map(UInt8.init(truncatingIfNeeded:)) {
        case pictures:
            guard let format = reader.number(1).flatMap(WorkCodes.format), let quality = reader.number(1),
                (1...100).contains(quality), let width = reader.number(2), let height = reader.number(2),
                max(width, height) <= Picture.maximumSidePx, reader.rest().isEmpty
            else { throw error }
            return .pictures(
                PictureStyle(format, quality: quality, maximumWidthPx: width, maximumHeightPx: height))
        case stream:
            guard let codec = reader.number(1).flatMap(WorkCodes.codec), let width = reader.number(2),
                let height = reader.number(2), max(width, height) <= Picture.maximumSidePx,
                let millihertz = reader.number(4), millihertz <= Int(StreamCoding.fastestMillihertz),
                let bitRate = reader.number(4), reader.rest().isEmpty,
                let coding = StreamCoding(
                    codec, maximumWidthPx: width, maximumHeightPx: height, maximumMillihertz: UInt32(millihertz),
                    bitRateBps: UInt32(bitRate))
            else { throw error }
            return .stream(coding)
        default: throw error
        }
    }

    static func bytes(_ packet: LivePacket) -> [UInt8] {
        var fields = [
            WorkCodes.codec(packet.codec), (packet.startsAnew ? anew : 0) | (packet.isWanted ? wanted : 0),
        ]
        fields.append(UInt64(bitPattern: packet.ptsTicks), bytes: 8)
        for side in [packet.widthPx, packet.heightPx] { fields.append(UInt64(side), bytes: 2) }
        return fields + packet.decoderConfiguration
    }

    static func packet(_ reader: inout ByteReader, _ blob: [UInt8]) throws(WorkProtocolError) -> LivePacket {
        guard let codec = reader.number(1).flatMap(WorkCodes.codec), let flags = reader.number(1),
            flags <= Int(anew | wanted), let ticks = reader.bits64(), let width = reader.number(2),
            let height = reader.number(2),
            let packet = LivePacket(
                codec: codec, decoderConfiguration: reader.rest(), widthPx: width, heightPx: height,
                packet: PacketBytes(blob), ptsTicks: Int64(bitPattern: ticks),
                startsAnew: flags & Int(anew) != 0, isWanted: flags & Int(wanted) != 0)
        else { throw WorkProtocolError("a packet that no decoder can take") }
        return packet
    }
}
