// A second copy of a program that is loaded already. Before Linux 6.10 a tracepoint takes each program only once; a
// copy can be attached while the first one still is.
//   SL_ASSIGN_OR_RETURN(const Fd copy, LoadCopy(*skeleton->obj, {bytes, size}, "traced_call_enter"));
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/fd.h"
#include "base/status.h"

struct bpf_object;

namespace sluice::bpf {

// `file`: the ELF file that `loaded` was opened from, with the kernel's own types. The copy uses the same maps,
// constants included. Costs as much time as the first load of the program. Thread-safe.
StatusOr<Fd> LoadCopy(const bpf_object& loaded, std::span<const std::byte> file, const std::string& program);

}  // namespace sluice::bpf
