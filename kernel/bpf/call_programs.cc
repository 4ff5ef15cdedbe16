#include "kernel/bpf/call_programs.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/log.h"
#include "kernel/bpf/kernel_types.h"
#include "kernel/bpf/load_log.h"
#include "kernel/bpf/map_size.h"
#include "kernel/bpf/system.h"
#include "skel/calls_bpf.skel.h"

namespace sluice::bpf {
namespace {

// How many arguments a tracepoint has, with the program's own; 0: this kernel has no such tracepoint.
std::uint32_t TracepointArguments(const btf& types, const std::string& name) {
  const auto id = btf__find_by_name_kind(&types, ("btf_trace_" + name).c_str(), BTF_KIND_TYPEDEF);
  const btf_type* type = id > 0 ? btf__type_by_id(&types, static_cast<__u32>(id)) : nullptr;
  if (type != nullptr) type = btf__type_by_id(&types, type->type);  // the pointer
  if (type != nullptr) type = btf__type_by_id(&types, type->type);  // the function
  return type == nullptr ? 0 : btf_vlen(type);
}

std::uint64_t MemoryOfCallMap(int map_fd) {
  std::ifstream file(fmt::format("/proc/self/fdinfo/{}", map_fd));
  for (std::string name; file >> name;) {
    std::uint64_t bytes = 0;
    if (name == "memlock:" && file >> bytes) return bytes;
  }
  return 0;
}

template <typename To, typename From>
void StoreBytes(To* to, const From& from) {
  for (std::size_t i = 0; i < from.size(); ++i) __atomic_store_n(&to[i], from[i], __ATOMIC_RELAXED);
}

}  // namespace

StatusOr<std::unique_ptr<CallPrograms>> CallPrograms::Load(const CallProgramOptions& options) {
  LIBBPF_OPTS(bpf_object_open_opts, options_of_libbpf, .btf_custom_path = kKernelTypes);
  calls_bpf* const skeleton = calls_bpf__open_opts(&options_of_libbpf);
  if (skeleton == nullptr) return ErrnoError(errno, "open the BPF object of the sensors of system calls");
  std::unique_ptr<CallPrograms> made(new CallPrograms(skeleton));
  SL_RETURN_IF_ERROR(made->LoadObject(options));
  const auto fd = [&](const char* name) { return made->map_fd(name); };
  SL_ASSIGN_OR_RETURN(made->filters_, decltype(filters_)::Bind(fd("call_filters"), "call_filters"));
  SL_ASSIGN_OR_RETURN(made->places_, decltype(places_)::Bind(fd("call_places"), "call_places"));
  SL_ASSIGN_OR_RETURN(made->name_table_, decltype(name_table_)::Bind(fd("call_names"), "call_names"));
  SL_ASSIGN_OR_RETURN(made->sets_, decltype(sets_)::Bind(fd("call_sets"), "call_sets"));
  SL_ASSIGN_OR_RETURN(made->losses_, decltype(losses_)::Bind(fd("call_losses"), "call_losses"));
  SL_ASSIGN_OR_RETURN(made->shares_, decltype(shares_)::Bind(fd("call_shares"), "call_shares"));
  SL_RETURN_IF_ERROR(made->losses_.Put({.share = ~0U, .kind = ~0U}, 0));
  SL_ASSIGN_OR_RETURN(made->wait_, RingWait::Open(fd("call_events"), "call_events"));
  SL_ASSIGN_OR_RETURN(
      made->ring_,
      RingReader::Open(
          fd("call_events"), [raw = made.get()](const void* record, std::size_t size) { raw->consume_(record, size); },
          "call_events"));
  return made;
}

// Kernels differ in the tracepoints of io_uring; without them its operations are not seen.
Status CallPrograms::SelectPrograms() {
  SL_ASSIGN_OR_RETURN(const auto types, KernelTypes());
  const auto& programs = skeleton_->progs;
  const bool has_new_submit = TracepointArguments(*types, "io_uring_submit_req") != 0;
  const bool has_old_submit = !has_new_submit && TracepointArguments(*types, "io_uring_submit_sqe") != 0;
  const std::uint32_t of_complete = TracepointArguments(*types, "io_uring_complete");
  constexpr std::uint32_t kWithEntry = 4;
  if (has_new_submit) submitted_ = programs.ring_submitted;
  if (has_old_submit) submitted_ = programs.ring_submitted_before;
  if (of_complete != 0)
    completed_ = of_complete == kWithEntry ? programs.ring_completed : programs.ring_completed_before;
  has_rings_ = submitted_ != nullptr && completed_ != nullptr;
  for (bpf_program* const program : {programs.ring_submitted, programs.ring_submitted_before, programs.ring_completed,
                                     programs.ring_completed_before})
    bpf_program__set_autoload(program, has_rings_ && (program == submitted_ || program == completed_));
  return OkStatus();
}

Status CallPrograms::LoadObject(const CallProgramOptions& options) {
  const LoadLog log;
  SL_RETURN_IF_ERROR(SelectPrograms());
  SL_ASSIGN_OR_RETURN(const int cpus, PossibleCpus());
  const auto& maps = skeleton_->maps;
  SL_RETURN_IF_ERROR(SetMapSize(maps.call_scratches, static_cast<std::uint32_t>(cpus)));
  SL_RETURN_IF_ERROR(SetMapSize(maps.call_events, options.ring_bytes));
  skeleton_->rodata->ring_half = options.ring_bytes / 2;
  skeleton_->rodata->wake_bytes = options.ring_bytes / 4;
  // The maps that the packet path shares; the sensors only read the first.
  SL_RETURN_IF_ERROR(SetMapSize(maps.process_ids, 1));
  if (options.processes_fd < 0) {
    SL_RETURN_IF_ERROR(SetMapSize(maps.processes, 1));
  } else if (const int rc = bpf_map__reuse_fd(maps.processes, options.processes_fd); rc != 0) {
    return ErrnoError(rc, "take over the map processes");
  }
  const int rc = calls_bpf__load(skeleton_);
  if (rc == 0) return OkStatus();
  const auto code = rc == -EPERM || rc == -EACCES ? absl::StatusCode::kPermissionDenied  // verifier refusals too
                                                  : absl::StatusCode::kFailedPrecondition;
  return MakeError(
      code,
      "load the sensors of system calls (they need Linux 5.15 or newer with BTF, CAP_BPF and CAP_PERFMON): "
      "{}: {}",
      strerror(-rc), log.LastLines(12));
}

CallPrograms::~CallPrograms() {
  Detach();
  ring_.reset();
  calls_bpf__destroy(skeleton_);
}

StatusOr<Fd> CallPrograms::OpenTracepoint(const bpf_program* program) const {
  Fd link(bpf_raw_tracepoint_open(nullptr, bpf_program__fd(program)));
  if (!link.valid())
    return ErrnoError(errno, "attach {} to {}", bpf_program__name(program), bpf_program__section_name(program));
  return link;
}

Status CallPrograms::Attach(bool rings) {
  if (rings && has_rings_ && !ring_completed_.valid()) {
    SL_ASSIGN_OR_RETURN(Fd completed, OpenTracepoint(completed_));
    SL_ASSIGN_OR_RETURN(Fd submitted, OpenTracepoint(submitted_));
    ring_completed_ = std::move(completed);
    ring_submitted_ = std::move(submitted);
  }
  if (!rings) {
    ring_submitted_ = Fd();
    ring_completed_ = Fd();
  }
  if (call_.valid()) return OkStatus();
  auto call = OpenTracepoint(skeleton_->progs.call_returned);
  if (!call.ok()) {
    Detach();
    return call.status();
  }
  call_ = *std::move(call);
  return OkStatus();
}

void CallPrograms::Detach() {
  call_ = Fd();
  ring_submitted_ = Fd();
  ring_completed_ = Fd();
}

void CallPrograms::SetKinds(const Kinds& kinds, const RingKinds& rings) {
  StoreBytes(skeleton_->bss->call_kinds, kinds);
  StoreBytes(skeleton_->bss->ring_kinds, rings);
}

std::uint32_t CallPrograms::half() const {
  return __atomic_load_n(&skeleton_->data->call_state.half, __ATOMIC_RELAXED);
}

Status CallPrograms::SetFilters(const std::array<sl_call_filter, SL_CALL_KINDS>& filters, const NameSets& sets,
                                const std::vector<sl_call_name_key>& names) {
  const std::uint32_t other = 1 - half();
  for (const sl_call_name_key& name : names_[other]) SL_RETURN_IF_ERROR(name_table_.Delete(name));
  names_[other].clear();
  for (sl_call_name_key name : names) {
    name.half = static_cast<std::uint8_t>(other);
    SL_RETURN_IF_ERROR(name_table_.Put(name, 1));
    names_[other].push_back(name);
  }
  for (std::uint32_t set = 0; set < sets.size(); ++set)
    SL_RETURN_IF_ERROR(sets_.Put(other * SL_CALL_SETS + set, sets[set]));
  for (std::uint32_t kind = 0; kind < filters.size(); ++kind)
    SL_RETURN_IF_ERROR(filters_.Put(other * SL_CALL_KINDS + kind, filters[kind]));
  return OkStatus();
}

// The places are by the filters in force. They are forgotten first: a program that sees the new half finds none.
Status CallPrograms::SwapHalves() {
  ForgetPlaces();
  __atomic_store_n(&skeleton_->data->call_state.half, 1 - half(), __ATOMIC_RELEASE);
  return WaitForRunningPrograms();
}

void CallPrograms::ForgetPlaces() { __atomic_fetch_add(&skeleton_->data->call_state.epoch, 1, __ATOMIC_RELEASE); }

std::uint32_t CallPrograms::epoch() const {
  return __atomic_load_n(&skeleton_->data->call_state.epoch, __ATOMIC_RELAXED);
}

void CallPrograms::SetParts(std::uint32_t parts) {
  __atomic_store_n(&skeleton_->data->call_state.parts, parts, __ATOMIC_RELAXED);
}

int CallPrograms::Drain(const RingReader::Consume& consume) {
  consume_ = consume;
  return ring_->Drain();
}

std::uint64_t CallPrograms::bytes() const {
  std::uint64_t sum = 0;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton_->obj) {
    if (bpf_map__fd(map) >= 0) sum += MemoryOfCallMap(bpf_map__fd(map));
  }
  return sum;
}

int CallPrograms::map_fd(const std::string& name) const {
  const bpf_map* const map = bpf_object__find_map_by_name(skeleton_->obj, name.c_str());
  return map == nullptr ? -1 : bpf_map__fd(map);
}

int CallPrograms::program_fd(const std::string& name) const {
  const bpf_program* const program = bpf_object__find_program_by_name(skeleton_->obj, name.c_str());
  return program == nullptr ? -1 : bpf_program__fd(program);
}

}  // namespace sluice::bpf
