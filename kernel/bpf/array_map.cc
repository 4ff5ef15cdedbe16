#include "kernel/bpf/array_map.h"

#include <bpf/bpf.h>

#include <cerrno>

namespace sluice::bpf {

StatusOr<Fd> MakeInnerArray(const std::string& name, std::uint32_t value_bytes, std::uint32_t entries) {
  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE | BPF_F_INNER_MAP);
  Fd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, name.c_str(), sizeof(std::uint32_t), value_bytes, entries, &options));
  if (!map.valid()) return ErrnoError(errno, "make map {} of {} entries", name, entries);
  return map;
}

}  // namespace sluice::bpf
