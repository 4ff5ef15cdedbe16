#include "ctrl/bpf/object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cstdarg>
#include <cstring>
#include <filesystem>

#include "bpf/abi/policy.h"
#include "skel/datapath_bpf.skel.h"

namespace sluice::bpf {
namespace {

// libbpf's printer collects into this thread's log while an object is loaded, so that an error can carry its end.
thread_local std::string* t_load_log = nullptr;

int PrintLibbpf(libbpf_print_level level, const char* format, va_list args) {
  if (level == LIBBPF_DEBUG) return 0;
  char line[4096];
  const int length = vsnprintf(line, sizeof(line), format, args);
  if (t_load_log != nullptr) t_load_log->append(line);
  return length;
}

std::string LastLines(const std::string& text, int lines) {
  std::size_t at = text.size();
  while (lines-- > 0 && at != std::string::npos && at > 0) at = text.rfind('\n', at - 1);
  return at == std::string::npos ? text : text.substr(at + 1);
}

class LoadLog {
 public:
  LoadLog() {
    libbpf_set_print(PrintLibbpf);
    t_load_log = &text_;
  }
  ~LoadLog() { t_load_log = nullptr; }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

Status SetSize(bpf_map* map, std::uint32_t entries) {
  const int rc = bpf_map__set_max_entries(map, entries);
  return rc == 0 ? OkStatus() : ErrnoError(rc, "map {}: set its size to {}", bpf_map__name(map), entries);
}

Status SetSizes(datapath_bpf* skeleton, const ObjectOptions& options) {
  SL_RETURN_IF_ERROR(SetSize(skeleton->maps.addresses, options.slot_addresses * SL_SLOTS));
  SL_RETURN_IF_ERROR(SetSize(skeleton->maps.prefixes, options.slot_prefixes * SL_SLOTS));
  SL_RETURN_IF_ERROR(SetSize(skeleton->maps.peers, options.slot_peers * SL_SLOTS));
  SL_RETURN_IF_ERROR(SetSize(skeleton->maps.ports, options.slot_ports * SL_SLOTS));
  SL_RETURN_IF_ERROR(SetSize(skeleton->maps.ct_established, options.flows_established));
  SL_RETURN_IF_ERROR(SetSize(skeleton->maps.ct_pending, options.flows_pending));
  return SetSize(skeleton->maps.ct_denied, options.flows_denied);
}

// .rodata and .bss belong to one load of the programs; judgements is scratch.
bool IsPinned(const bpf_map* map) { return !bpf_map__is_internal(map); }

// The kernel adds a flag of its own to a device map (kernel/bpf/devmap.c), which libbpf 1.1 takes for another map than
// the one it wants: it refuses what it pinned itself. True: `map` goes on with the one pinned at `path`.
StatusOr<bool> TakeOverDeviceMap(bpf_map* map, const std::string& path) {
  const Fd pinned(bpf_obj_get(path.c_str()));
  if (!pinned.valid()) {
    if (errno == ENOENT) return false;
    return ErrnoError(errno, "open the pinned map {}", path);
  }
  bpf_map_info info{};
  __u32 length = sizeof(info);
  if (bpf_obj_get_info_by_fd(pinned.get(), &info, &length) != 0)
    return ErrnoError(errno, "map {}: read its info", path);
  if (info.type != bpf_map__type(map) || info.key_size != bpf_map__key_size(map) ||
      info.value_size != bpf_map__value_size(map) || info.max_entries != bpf_map__max_entries(map))
    return InvalidError("the pinned map {} is of another kind or size than this program's", path);
  const int rc = bpf_map__reuse_fd(map, pinned.get());
  if (rc != 0) return ErrnoError(rc, "take over the pinned map {}", path);
  return true;
}

Status PlanPins(bpf_object* object, const PinLayout& layout) {
  std::error_code error;
  std::filesystem::create_directories(layout.maps_dir(), error);
  if (error) return ErrnoError(error.value(), "create {} (is a BPF file system mounted there?)", layout.maps_dir());
  std::filesystem::create_directories(layout.links_dir(), error);
  if (error) return ErrnoError(error.value(), "create {}", layout.links_dir());
  bpf_map* map;
  bpf_object__for_each_map(map, object) {
    if (!IsPinned(map)) continue;
    const std::string pin = layout.map(bpf_map__name(map));
    if (bpf_map__type(map) == BPF_MAP_TYPE_DEVMAP_HASH) {
      SL_ASSIGN_OR_RETURN(const bool taken_over, TakeOverDeviceMap(map, pin));
      if (taken_over) continue;
    }
    const int rc = bpf_map__set_pin_path(map, pin.c_str());
    if (rc != 0) return ErrnoError(rc, "map {}: set its pin path", bpf_map__name(map));
  }
  return OkStatus();
}

Status LoadError(int rc, const std::string& log) {
  if (rc == -EPERM || rc == -EACCES)
    return MakeError(absl::StatusCode::kPermissionDenied,
                     "the kernel refused to load BPF programs (needs CAP_BPF and CAP_NET_ADMIN, or root): {}",
                     LastLines(log, 3));
  return MakeError(absl::StatusCode::kFailedPrecondition, "load the packet path ({}): {}", strerror(-rc),
                   LastLines(log, 12));
}

}  // namespace

StatusOr<std::unique_ptr<DatapathObject>> DatapathObject::Load(const ObjectOptions& options) {
  const LoadLog log;
  datapath_bpf* skeleton = datapath_bpf__open();
  if (skeleton == nullptr) return ErrnoError(errno, "open the packet path's BPF object: {}", LastLines(log.text(), 3));
  std::unique_ptr<DatapathObject> object(new DatapathObject(skeleton));
  skeleton->rodata->slot_ports = options.slot_ports;
  skeleton->rodata->use_test_clock = options.test_clock ? 1 : 0;
  SL_RETURN_IF_ERROR(SetSizes(skeleton, options));
  if (!options.pin_root.empty()) SL_RETURN_IF_ERROR(PlanPins(skeleton->obj, PinLayout(options.pin_root)));
  if (const int rc = datapath_bpf__load(skeleton); rc != 0) return LoadError(rc, log.text());
  return object;
}

DatapathObject::~DatapathObject() { datapath_bpf__destroy(skeleton_); }

int DatapathObject::program_fd(const std::string& name) const {
  const bpf_program* program = bpf_object__find_program_by_name(skeleton_->obj, name.c_str());
  return program == nullptr ? -1 : bpf_program__fd(program);
}

int DatapathObject::map_fd(const std::string& name) const {
  const bpf_map* map = bpf_object__find_map_by_name(skeleton_->obj, name.c_str());
  return map == nullptr ? -1 : bpf_map__fd(map);
}

std::vector<std::string> DatapathObject::map_names() const {
  std::vector<std::string> names;
  bpf_map* map;
  bpf_object__for_each_map(map, skeleton_->obj) {
    if (!bpf_map__is_internal(map)) names.emplace_back(bpf_map__name(map));
  }
  return names;
}

void DatapathObject::SetTestClock(std::uint64_t ns) { skeleton_->bss->test_clock_ns = ns; }

StatusOr<Fd> OpenPinnedMap(const std::string& path) {
  Fd map(bpf_obj_get(path.c_str()));
  if (!map.valid()) return ErrnoError(errno, "open the pinned map {}", path);
  return map;
}

StatusOr<ProgramSize> ReadProgramSize(int program_fd) {
  bpf_prog_info info{};
  __u32 length = sizeof(info);
  if (bpf_obj_get_info_by_fd(program_fd, &info, &length) != 0) return ErrnoError(errno, "read a program's info");
  return ProgramSize{info.name, info.xlated_prog_len / 8, info.verified_insns};
}

}  // namespace sluice::bpf
