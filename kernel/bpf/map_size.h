#pragma once

#include <cstdint>

#include "base/status.h"

struct bpf_map;

namespace sluice::bpf {

// How many entries the map will have. To call before its object is loaded.
Status SetMapSize(bpf_map* map, std::uint32_t entries);

}  // namespace sluice::bpf
