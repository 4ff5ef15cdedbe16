#include "kernel/bpf/object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "bpf/abi/flow_table.h"
#include "bpf/abi/policy.h"
#include "kernel/bpf/features.h"
#include "kernel/bpf/load_log.h"
#include "kernel/bpf/map_size.h"
#include "skel/datapath_bpf.skel.h"

namespace sluice::bpf {
namespace {

Status SetSizes(datapath_bpf* skeleton, const ObjectOptions& options) {
  SL_RETURN_IF_ERROR(SetMapSize(skeleton->maps.addresses, SL_EPOCHS * SL_EPOCH_SLOTS(options.epoch_addresses)));
  SL_RETURN_IF_ERROR(SetMapSize(skeleton->maps.prefixes, options.epoch_prefixes * SL_EPOCHS));
  SL_RETURN_IF_ERROR(SetMapSize(skeleton->maps.peers, SL_EPOCHS * SL_EPOCH_SLOTS(options.epoch_peers)));
  SL_RETURN_IF_ERROR(SetMapSize(skeleton->maps.ports, options.epoch_ports * SL_EPOCHS));
  const std::uint32_t buckets = SL_FLOW_BUCKETS(options.flows);
  SL_RETURN_IF_ERROR(SetMapSize(skeleton->maps.flow_buckets, buckets));
  return SetMapSize(skeleton->maps.flows, buckets * SL_FLOW_WAYS);
}

// .rodata and .bss belong to one load of the programs; evaluations is scratch.
bool IsPinned(const bpf_map* map) { return !bpf_map__is_internal(map); }

// The kernel sets this flag on device maps itself, and refuses it in requests: libbpf must expect it of a map that is
// pinned already, and must not set it when it creates one.
int ExpectKernelFlags(bpf_map* map, const std::string& pin) {
  const bool devices = bpf_map__type(map) == BPF_MAP_TYPE_DEVMAP || bpf_map__type(map) == BPF_MAP_TYPE_DEVMAP_HASH;
  std::error_code error;
  if (!devices || !std::filesystem::exists(pin, error)) return 0;
  return bpf_map__set_map_flags(map, bpf_map__map_flags(map) | BPF_F_RDONLY_PROG);
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
    if (const int rc = ExpectKernelFlags(map, pin); rc != 0) {
      return ErrnoError(rc, "map {}: set its flags", bpf_map__name(map));
    }
    const int rc = bpf_map__set_pin_path(map, pin.c_str());
    if (rc != 0) return ErrnoError(rc, "map {}: set its pin path", bpf_map__name(map));
  }
  return OkStatus();
}

// Only programs use what prefixes said (bpf/lib/prefix_cache.bpf.h). libbpf maps it with the other variables, and all
// of that would count as memory of this process; no more than that happens if it fails. The range stays reserved, as
// libbpf unmaps the whole of it at the end.
void UnmapPrefixCache(datapath_bpf* skeleton) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  char* const begin = reinterpret_cast<char*>(&skeleton->bss->known_prefixes);
  const std::size_t before = (page - reinterpret_cast<std::uintptr_t>(begin) % page) % page;
  const std::size_t pages = (sizeof(skeleton->bss->known_prefixes) - before) / page;
  mmap(begin + before, pages * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

Status LoadError(int rc, const LoadLog& log) {
  constexpr std::string_view kNotReusable = "couldn't reuse pinned map at '";
  const std::string& text = log.text();
  if (const std::size_t at = text.find(kNotReusable); at != std::string::npos) {
    const std::size_t path = at + kNotReusable.size();
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "{}, pinned by an earlier start, has another size: give the same --max-... options as then, or "
                     "remove it with `sluiced --uninstall` first (nothing is enforced from then to the next start)",
                     text.substr(path, text.find('\'', path) - path));
  }
  if (rc == -EPERM || rc == -EACCES)
    return MakeError(absl::StatusCode::kPermissionDenied,
                     "the kernel refused to load BPF programs (needs CAP_BPF and CAP_NET_ADMIN, or root): {}",
                     log.LastLines(3));
  if (const auto missing = MissingRequirements(); !missing.empty()) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "this kernel lacks {}: Sluice needs Linux 5.11 or newer, with BPF", fmt::join(missing, ", "));
  }
  return MakeError(absl::StatusCode::kFailedPrecondition, "load the packet path ({}): {}", strerror(-rc),
                   log.LastLines(12));
}

}  // namespace

StatusOr<std::unique_ptr<DatapathObject>> DatapathObject::Load(const ObjectOptions& options) {
  const LoadLog log;
  datapath_bpf* skeleton = datapath_bpf__open();
  if (skeleton == nullptr) return ErrnoError(errno, "open the packet path's BPF object: {}", log.LastLines(3));
  std::unique_ptr<DatapathObject> object(
      new DatapathObject(skeleton, options.admin_calls != nullptr ? *options.admin_calls : OwnAdminCalls()));
  skeleton->rodata->epoch_addresses = options.epoch_addresses;
  skeleton->rodata->epoch_ports = options.epoch_ports;
  skeleton->rodata->epoch_peers = options.epoch_peers;
  skeleton->rodata->use_test_clock = options.test_clock ? 1 : 0;
  timespec jiffy{};  // the coarse clocks move with the jiffies
  if (clock_getres(CLOCK_MONOTONIC_COARSE, &jiffy) != 0) return ErrnoError(errno, "read the length of a jiffy");
  skeleton->rodata->jiffy_ns = static_cast<std::uint64_t>(jiffy.tv_nsec);
  skeleton->rodata->flow_bucket_count = SL_FLOW_BUCKETS(options.flows);
  skeleton->rodata->flow_share_slots =
      options.flow_share_slots != 0 ? options.flow_share_slots : SL_FLOW_BUCKETS(options.flows) * SL_FLOW_WAYS;
  skeleton->rodata->denied_cost_ns = SL_DENIED_COST(std::max(options.flows_denied, 1U));
  skeleton->rodata->event_price_ns = options.event_rate == 0 ? 0 : std::max(SL_SECOND_NS / options.event_rate, 1ULL);
  if (const int rc = bpf_program__set_autoload(skeleton->progs.xdp_uplink, options.uplinks); rc != 0)
    return ErrnoError(rc, "leave out xdp_uplink");
  SL_RETURN_IF_ERROR(SetSizes(skeleton, options));
  if (!options.pin_root.empty()) SL_RETURN_IF_ERROR(PlanPins(skeleton->obj, PinLayout(options.pin_root)));
  if (const int rc = datapath_bpf__load(skeleton); rc != 0) return LoadError(rc, log);
  UnmapPrefixCache(skeleton);
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

void DatapathObject::RefundDenied(std::uint32_t records) {
  __atomic_fetch_sub(&skeleton_->bss->denied_paid_until_ns, skeleton_->rodata->denied_cost_ns * records,
                     __ATOMIC_RELAXED);
}

StatusOr<Fd> OpenPinnedMap(const std::string& path) {
  Fd map(bpf_obj_get(path.c_str()));
  if (!map.valid()) return ErrnoError(errno, "open the pinned map {}", path);
  return map;
}

StatusOr<ProgramRuns> ReadProgramRuns(int program_fd) {
  bpf_prog_info info{};
  __u32 length = sizeof(info);
  if (bpf_obj_get_info_by_fd(program_fd, &info, &length) != 0) return ErrnoError(errno, "read a program's info");
  return ProgramRuns{info.run_cnt, info.run_time_ns};
}

}  // namespace sluice::bpf
