#include "kernel/bpf/testing/program_set.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>

#include "kernel/bpf/admin_calls.h"
#include "kernel/bpf/load_log.h"

namespace sluice::bpf {

StatusOr<ProgramSet> ProgramSet::Load(const std::string& name, std::string_view elf,
                                      const std::map<std::string, std::uint32_t>& entries) {
  const LoadLog log;
  LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = name.c_str());
  bpf_object* const object = bpf_object__open_mem(elf.data(), elf.size(), &options);
  if (object == nullptr) return ErrnoError(errno, "open the BPF object {}: {}", name, log.LastLines(3));
  ProgramSet set(object);
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) bpf_map__set_pin_path(map, nullptr);  // also if the object declares a pin
  for (const auto& [map_name, count] : entries) {
    map = bpf_object__find_map_by_name(object, map_name.c_str());
    const int rc = map == nullptr ? -ENOENT : bpf_map__set_max_entries(map, count);
    if (rc != 0)
      return ErrnoError(rc, "make room for {} entries in map {} of the BPF object {}", count, map_name, name);
  }
  const int rc = bpf_object__load(object);
  if (rc == -EPERM || rc == -EACCES)
    return MakeError(
        absl::StatusCode::kPermissionDenied,
        "the kernel refused to load the BPF object {} (needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, or root)", name);
  if (rc != 0) return ErrnoError(rc, "load the BPF object {}: {}", name, log.LastLines(12));
  return set;
}

int ProgramSet::program_fd(const std::string& name) const {
  const bpf_program* program = bpf_object__find_program_by_name(object_.get(), name.c_str());
  return program == nullptr ? -1 : bpf_program__fd(program);
}

int ProgramSet::map_fd(const std::string& name) const {
  const bpf_map* map = bpf_object__find_map_by_name(object_.get(), name.c_str());
  return map == nullptr ? -1 : bpf_map__fd(map);
}

void ProgramSet::Closer::operator()(bpf_object* object) const { bpf_object__close(object); }

StatusOr<Fd> ProgramSet::AttachTracepoint(const std::string& name) const {
  Fd link(bpf_raw_tracepoint_open(nullptr, program_fd(name)));
  if (!link.valid()) return ErrnoError(errno, "attach {} to its tracepoint", name);
  return link;
}

StatusOr<Fd> ProgramSet::AttachFunction(const std::string& name, std::string_view function) const {
  SL_ASSIGN_OR_RETURN(const Fd event, OwnAdminCalls().OpenFunction(function, false));
  Fd link(bpf_link_create(program_fd(name), event.get(), BPF_PERF_EVENT, nullptr));
  if (!link.valid()) return ErrnoError(errno, "attach {} to {}", name, function);
  return link;
}

}  // namespace sluice::bpf
