// One transaction of the registry, as a value: what Registry.swift decided, for RegistryStore.swift to make durable.

import Wire

struct RegistryWrite: Sendable {
    /// One entry of the list of changes.
    struct Change: Sendable, Equatable {
        enum What: String, Sendable { case device, asset, desired, lease }
        let what: What
        let name: String
    }

    /// Revisions after it.
    var revision: UInt64
    var devicesRevision: UInt64
    var assetsRevision: UInt64
    var documents: [(document: RegistryDocument, revision: UInt64, origin: String)] = []
    var deletedDocuments: [DocumentKey] = []
    var desired: [(name: StreamName, stored: RegistryModel.StoredDesired)] = []
    var deletedDesired: [StreamName] = []
    var leases: [(source: SourceName, entry: LeaseTable.Entry)] = []
    var changes: [Change] = []
    var answer: (key: String, bytes: [UInt8])?
    var nowUs: Int64

    /// A transaction that leaves the revisions of a model as they are.
    init(_ model: RegistryModel, nowUs: Int64) {
        revision = model.revision
        devicesRevision = model.devicesRevision
        assetsRevision = model.assetsRevision
        self.nowUs = nowUs
    }

    /// Takes over the revisions of a changed model.
    mutating func takeRevisions(of model: RegistryModel) {
        revision = model.revision
        devicesRevision = model.devicesRevision
        assetsRevision = model.assetsRevision
    }
}
