#include "kernel/bpf/lsm_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/log.h"
#include "kernel/bpf/hook_pins.h"
#include "kernel/bpf/link.h"
#include "kernel/bpf/load_log.h"
#include "kernel/bpf/lsm_module.h"
#include "kernel/bpf/map_size.h"
#include "kernel/bpf/pin_layout.h"
#include "kernel/bpf/system.h"
#include "skel/lsm_bpf.skel.h"

namespace sluice::bpf {
namespace {

constexpr std::uint32_t kScratchesOfCpu = 4;  // SL_LSM_LEVELS of bpf/lsm/lsm_maps.bpf.h

// Of a section, in the order in which they are attached.
const std::vector<std::string>& LsmProgramsOf(LsmSection section) {
  // An execution that is begun under a rule is judged to its end.
  static const std::map<LsmSection, std::vector<std::string>> programs = {
      {LsmSection::kProcess, {"executed", "execute"}},
      {LsmSection::kFile,
       {"open_file", "unlink_path", "make_directory", "rm_directory", "make_node", "make_symlink", "make_link",
        "rename_path", "truncate_path", "change_mode", "change_owner"}},
      {LsmSection::kNetwork, {"create_socket"}},
      {LsmSection::kCapabilities, {"use_capability"}},
      {LsmSection::kSystemCalls, {"call"}},
      {LsmSection::kCodeMappings, {"map_code", "protect_code"}},
  };
  return programs.at(section);
}

std::set<std::string> LsmProgramsOf(const std::set<LsmSection>& sections) {
  std::set<std::string> all;
  for (const LsmSection section : sections) {
    const auto& some = LsmProgramsOf(section);
    all.insert(some.begin(), some.end());
  }
  return all;
}

std::uint64_t MemoryOfMap(int map_fd) {
  std::ifstream file(fmt::format("/proc/self/fdinfo/{}", map_fd));
  for (std::string name; file >> name;) {
    std::uint64_t bytes = 0;
    if (name == "memlock:" && file >> bytes) return bytes;
  }
  return 0;
}

Status LsmLoadError(int rc, const LoadLog& log) {
  if (rc == -EPERM)
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "programs at LSM hooks were refused: they need a kernel with CONFIG_BPF_LSM and trampolines for "
                     "BPF (CONFIG_FUNCTION_TRACER), CAP_BPF and CAP_PERFMON: {}",
                     log.LastLines(4));
  return MakeError(absl::StatusCode::kFailedPrecondition, "load the programs of KubeArmor policies: {}: {}",
                   strerror(-rc), log.LastLines(12));
}

}  // namespace

Status CheckLsm() { return RequireBpfModule(); }

StatusOr<std::unique_ptr<LsmPrograms>> LsmPrograms::Load(const LsmProgramOptions& options) {
  SL_RETURN_IF_ERROR(CheckLsm());
  LIBBPF_OPTS(bpf_object_open_opts, options_of_libbpf, .btf_custom_path = kKernelTypes);
  lsm_bpf* const skeleton = lsm_bpf__open_opts(&options_of_libbpf);
  if (skeleton == nullptr) return ErrnoError(errno, "open the BPF object of KubeArmor policies");
  std::unique_ptr<LsmPrograms> programs(new LsmPrograms(skeleton));
  SL_RETURN_IF_ERROR(programs->LoadObject(options));
  const auto fd = [&](const char* name) { return programs->map_fd(name); };
  SL_ASSIGN_OR_RETURN(programs->settings_, decltype(settings_)::Bind(fd("hook_settings"), "hook_settings"));
  SL_ASSIGN_OR_RETURN(programs->progress_, decltype(progress_)::Bind(fd("lsm_progress"), "lsm_progress"));
  SL_RETURN_IF_ERROR(programs->SubjectsChanged(1));
  SL_ASSIGN_OR_RETURN(programs->wait_, RingWait::Open(fd("lsm_events"), "lsm_events"));
  SL_ASSIGN_OR_RETURN(
      programs->ring_,
      RingReader::Open(
          fd("lsm_events"),
          [raw = programs.get()](const void* record, std::size_t size) { raw->consume_(record, size); }, "lsm_events"));
  if (options.pin_root.empty()) return programs;
  programs->pin_root_ = options.pin_root;
  SL_ASSIGN_OR_RETURN(programs->life_dir_, MakeHookLife(PinLayout(options.pin_root), HookPins::kLsm));
  return programs;
}

Status LsmPrograms::LoadObject(const LsmProgramOptions& options) {
  const LoadLog log;
  SL_ASSIGN_OR_RETURN(const int cpus, PossibleCpus());
  const auto& maps = skeleton_->maps;
  SL_RETURN_IF_ERROR(SetMapSize(maps.lsm_scratches, static_cast<std::uint32_t>(cpus) * kScratchesOfCpu));
  SL_RETURN_IF_ERROR(SetMapSize(maps.lsm_events, options.ring_bytes));
  skeleton_->rodata->ring_half = options.ring_bytes / 2;
  skeleton_->rodata->wake_bytes = options.ring_bytes / 4;
  if (options.processes_fd < 0) {
    SL_RETURN_IF_ERROR(SetMapSize(maps.processes, 1));
  } else if (const int rc = bpf_map__reuse_fd(maps.processes, options.processes_fd); rc != 0) {
    return ErrnoError(rc, "take over the map processes");
  }
  const int rc = lsm_bpf__load(skeleton_);
  return rc == 0 ? OkStatus() : LsmLoadError(rc, log);
}

LsmPrograms::~LsmPrograms() {
  ring_.reset();
  lsm_bpf__destroy(skeleton_);
}

StatusOr<LsmPrograms::Attached> LsmPrograms::AttachOne(const std::string& name) const {
  const LoadLog log;
  bpf_program* const program = bpf_object__find_program_by_name(skeleton_->obj, name.c_str());
  if (program == nullptr) return MakeError(absl::StatusCode::kInternal, "there is no program {}", name);
  const std::string section = bpf_program__section_name(program);
  bpf_link* const link = bpf_program__attach(program);
  if (link == nullptr) return ErrnoError(errno, "attach a program to {}: {}", section, log.LastLines(2));
  Attached attached{.link = Fd(fcntl(bpf_link__fd(link), F_DUPFD_CLOEXEC, 0)), .pin = ""};
  const int error = errno;
  bpf_link__destroy(link);  // the copy of its descriptor keeps it attached
  if (!attached.link.valid()) return ErrnoError(error, "keep the program attached to {}", section);
  if (life_dir_.empty()) return attached;
  attached.pin = life_dir_ + "/" + name;
  SL_RETURN_IF_ERROR(PinAt(attached.link.get(), attached.pin));
  return attached;
}

// The descriptor is closed even if the pin cannot be removed.
Status LsmPrograms::End(Attached attached) {
  attached.link = Fd();
  if (!attached.pin.empty() && unlink(attached.pin.c_str()) != 0 && errno != ENOENT)
    return ErrnoError(errno, "end the program {}", attached.pin);
  return OkStatus();
}

Status LsmPrograms::Attach(const std::set<LsmSection>& sections) {
  std::map<std::string, Attached> added;
  for (const LsmSection section : sections) {
    for (const std::string& name : LsmProgramsOf(section)) {
      if (attached_.contains(name) || added.contains(name)) continue;
      auto attached = AttachOne(name);
      if (attached.ok()) {
        added.emplace(name, *std::move(attached));
        continue;
      }
      for (auto& [other, one] : added) (void)End(std::move(one));  // the first error says more
      return attached.status();
    }
  }
  attached_.merge(added);
  return OkStatus();
}

Status LsmPrograms::Keep(const std::set<LsmSection>& sections) {
  const std::set<std::string> wanted = LsmProgramsOf(sections);
  Status first;
  for (auto one = attached_.begin(); one != attached_.end();) {
    if (wanted.contains((*one).first)) {
      ++one;
      continue;
    }
    first.Update(End(std::move((*one).second)));
    one = attached_.erase(one);
  }
  return first;
}

Status LsmPrograms::EndOthers() const {
  return pin_root_.empty() ? OkStatus() : EndOtherHooks(PinLayout(pin_root_), life_dir_, HookPins::kLsm);
}

Status LsmPrograms::EndEarlier(const std::string& pin_root) {
  return pin_root.empty() ? OkStatus() : EndOtherHooks(PinLayout(pin_root), "", HookPins::kLsm);
}

int LsmPrograms::Drain(const RingReader::Consume& consume) {
  consume_ = consume;
  return ring_->Drain();
}

Status LsmPrograms::SubjectsChanged(std::uint32_t subjects) {
  ++subjects_epoch_;
  return settings_.Put(0, {.subjects_epoch = subjects_epoch_, .event_parts = subjects});
}

StatusOr<sl_lsm_progress> LsmPrograms::Progress() const {
  SL_ASSIGN_OR_RETURN(const auto progress, progress_.Get(0));
  return progress.value_or(sl_lsm_progress{});
}

std::uint64_t LsmPrograms::bytes() const {
  std::uint64_t sum = 0;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton_->obj) {
    if (bpf_map__fd(map) >= 0) sum += MemoryOfMap(bpf_map__fd(map));
  }
  return sum;
}

int LsmPrograms::map_fd(const std::string& name) const {
  const bpf_map* const map = bpf_object__find_map_by_name(skeleton_->obj, name.c_str());
  return map == nullptr ? -1 : bpf_map__fd(map);
}

}  // namespace sluice::bpf
