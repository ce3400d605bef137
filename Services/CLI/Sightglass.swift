// sightglass: the operator's command line. A client like any other: it owns nothing and can be run anywhere that reaches the
// sockets. One file per group of commands in Commands/; how things are printed in Output/; whom it calls in Connections.swift.

import ArgumentParser

@main
struct Sightglass: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sightglass",
        abstract: "Sets up cameras, starts and stops tasks, finds footage and has it archived.",
        discussion: """
            Services are looked for below --run-directory (SIGHTGLASS_RUN_DIRECTORY, default /run/sightglass); an address \
            of another host is given with the flag of its role, such as --indexer tls+tcp://edge1:7001.

            Exit status: 0 all well, 1 not as wished, 2 (doctor only) wrong where 1 is worth attention, 64 wrong usage, 69 a \
            service is away. Completions: sightglass --generate-completion-script bash (zsh, fish).
            """,
        subcommands: [
            ApplyCommand.self, GetCommand.self, DeleteCommand.self, StartCommand.self, StopCommand.self,
            StatusCommand.self, DoctorCommand.self, ProbeCommand.self, CamerasCommand.self, FootageCommand.self,
            ExportCommand.self,
            ArchiveCommand.self,
            RequestsCommand.self,
            RequestCommand.self, CancelCommand.self, UploadsCommand.self, SnapshotCommand.self, LiveCommand.self,
            EventsCommand.self, VolumeCommand.self,
            HealthCommand.self,
            HoldsCommand.self, AuditCommand.self, VerifyCommand.self, FsckCommand.self, BackupCommand.self,
        ])
}
