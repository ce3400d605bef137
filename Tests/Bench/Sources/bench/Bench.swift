// bench: `Tests/bench NAME` runs it. A line per figure: "name value unit peer ratio bar ok|short"; lines that begin with # tell
// the spread over the rounds and the machine. Exit code 1 if any figure is short.

import ArgumentParser

@main struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Speed as a ratio to a peer that is measured in the same run.",
        subcommands: [
            RPCBench.self, EndToEndBench.self, OverloadBench.self, CaptureBench.self, StartupBench.self,
            ReconnectBench.self, SnapshotBench.self, PreRollBench.self, LiveBench.self, MQTTBench.self,
            CatalogueBench.self, ArchiveBench.self, UploadBench.self, IdleBench.self,
        ])
}

/// Options of every bench.
struct CommonOptions: ParsableArguments {
    @Option(help: "Folder for the JSON file.") var output = ".build/bench"
}
