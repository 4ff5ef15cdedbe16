// Patterns of program paths, as rules write them. The BPF program's own matching is tested against this. Pure.
#pragma once

#include <string_view>

namespace sluice::policy {

// Whether `pattern` matches the whole of `path`. "*": any run of bytes but '/', "**": any run, "?": one byte but '/'.
// Runs may be empty. Every other byte stands for itself; there are no escapes.
//
// A pattern that begins with /bin/, /sbin/, /lib/, /lib32/ or /lib64/ also matches the same path below /usr. On most
// systems these directories are links into /usr (https://systemd.io/THE_CASE_FOR_THE_USR_MERGE), and the kernel knows
// /bin/curl as /usr/bin/curl.
bool GlobMatches(std::string_view pattern, std::string_view path);

}  // namespace sluice::policy
