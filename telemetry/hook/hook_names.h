// The kernel's numbers by name, for events. A number without a name is shown as it is: "77". Pure.
#pragma once

#include <cstdint>
#include <string>

namespace sluice::telemetry {

std::string FamilyName(std::uint16_t family);        // "AF_INET"
std::string ProtocolName(std::uint16_t protocol);    // "IPPROTO_TCP"
std::string TcpStateName(std::uint8_t state);        // "TCP_SYN_SENT"
std::string SocketTypeName(std::uint16_t type);      // "SOCK_STREAM"
std::string BpfCommandName(std::uint64_t command);   // "BPF_PROG_LOAD"
std::string BpfProgramTypeName(std::uint64_t type);  // "BPF_PROG_TYPE_XDP"
std::string BpfMapTypeName(std::uint64_t type);      // "BPF_MAP_TYPE_HASH"
std::string PerfTypeName(std::uint64_t type);        // "PERF_TYPE_TRACEPOINT"
std::string SyscallName(std::uint64_t number);       // "openat", of this machine's calls
std::string ErrorName(std::int64_t error);           // "EPERM", for 1 and for -1
std::string PermissionsText(std::uint64_t mode);     // "-rw-r--r--", of a stat(2) mode

}  // namespace sluice::telemetry
