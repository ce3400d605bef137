// The names of the contract as people and logs write them.

extension SourceName {
    /// `device/endpoint`; a part that is absent is empty.
    public var text: String { "\(device ?? "")/\(endpoint ?? "")" }
}

extension StreamName {
    /// `asset/stream`; a part that is absent is empty.
    public var text: String { "\(asset ?? "")/\(stream ?? "")" }
}
