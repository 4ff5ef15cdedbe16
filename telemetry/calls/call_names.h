// Numbers of system calls' arguments as the names that rules use: O_RDONLY|O_CLOEXEC, AF_PACKET, PTRACE_ATTACH. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace sluice::telemetry {

// Flags: names with | between; bits without a name are left out. "0" if there is none.
std::string OpenFlagNames(std::uint64_t flags);  // O_RDONLY, O_WRONLY or O_RDWR is always there
std::string CloneFlagNames(std::uint64_t flags);
std::string MountFlagNames(std::uint64_t flags);
std::string ResolveFlagNames(std::uint64_t flags);  // of openat2
std::string AtFlagNames(std::uint64_t flags);       // of linkat, fchownat
std::string UnlinkFlagNames(std::uint64_t flags);
std::string RenameFlagNames(std::uint64_t flags);
std::string MemoryFileFlagNames(std::uint64_t flags);
std::string ProgramFlagNames(std::uint64_t flags);  // SL_CALL_EXE_*; other bits are left out
std::string ModuleFlagNames(std::uint64_t flags);
std::string ModeNames(std::uint64_t mode);  // S_ISUID|S_IRUSR

// One name; the number in decimal if it has none.
std::string FamilyName(std::uint64_t family);
std::string TraceRequestName(std::uint64_t request);
std::string BpfCallName(std::uint64_t command);

}  // namespace sluice::telemetry
