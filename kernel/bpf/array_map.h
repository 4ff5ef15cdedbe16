// Arrays that are made one by one at run time, for a map of maps whose inner maps differ in size (BPF_F_INNER_MAP;
// Linux 5.10). map_pages.h is for those of one size.
//   SL_ASSIGN_OR_RETURN(Fd ring, MakeInnerArray("capture_ring", sizeof(sl_capture_cell), 1024));
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/status.h"

namespace sluice::bpf {

// Zeroed, with keys of 32 bits, and can be memory-mapped. `name`: at most 15 bytes.
StatusOr<Fd> MakeInnerArray(const std::string& name, std::uint32_t value_bytes, std::uint32_t entries);

}  // namespace sluice::bpf
