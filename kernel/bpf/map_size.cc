#include "kernel/bpf/map_size.h"

#include <bpf/libbpf.h>

namespace sluice::bpf {

Status SetMapSize(bpf_map* map, std::uint32_t entries) {
  const int rc = bpf_map__set_max_entries(map, entries);
  return rc == 0 ? OkStatus() : ErrnoError(rc, "map {}: set its size to {}", bpf_map__name(map), entries);
}

}  // namespace sluice::bpf
