#include "kernel/bpf/point_program.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>

#include "kernel/bpf/kernel_types.h"
#include "kernel/bpf/load_log.h"
#include "kernel/bpf/lsm_module.h"
#include "kernel/bpf/prototype.h"
#include "kernel/bpf/system.h"
#include "skel/hook_point_bpf.skel.h"

namespace sluice::bpf {
namespace {

using Kind = PointProgram::Kind;

struct SkeletonDeleter {
  void operator()(hook_point_bpf* skeleton) const { hook_point_bpf__destroy(skeleton); }
};

bpf_program* ProgramOf(const hook_point_bpf& skeleton, Kind kind) {
  switch (kind) {
    case Kind::kLsm:
      return skeleton.progs.lsm_hook;
    case Kind::kDenyingFunction:
      return skeleton.progs.security_function;
    case Kind::kDenyingSyscall:
      return skeleton.progs.system_call;
    case Kind::kFunctionEnter:
      return skeleton.progs.function_enter;
    case Kind::kFunctionReturn:
      return skeleton.progs.function_return;
    case Kind::kRawTracepoint:
      break;
  }
  return skeleton.progs.raw_tracepoint_hit;
}

std::string NameOf(const PointProgram& program) {
  switch (program.kind) {
    case Kind::kLsm:
      return "the LSM hook " + program.target;
    case Kind::kRawTracepoint:
      return "the tracepoint " + program.target;
    case Kind::kDenyingFunction:
    case Kind::kDenyingSyscall:
    case Kind::kFunctionEnter:
    case Kind::kFunctionReturn:
      break;
  }
  return "the function " + program.target;
}

PrototypeKind PrototypeKindOf(Kind kind) {
  if (kind == Kind::kLsm) return PrototypeKind::kLsmHook;
  return kind == Kind::kRawTracepoint ? PrototypeKind::kRawTracepoint : PrototypeKind::kFunction;
}

// How many arguments the program gets: it must not look for more.
StatusOr<std::uint32_t> CountArguments(const PointProgram& program) {
  SL_ASSIGN_OR_RETURN(const auto types, KernelTypes());
  const int prototype = FindPrototype(types.get(), PrototypeKindOf(program.kind), program.target);
  if (prototype < 0)
    return MakeError(absl::StatusCode::kNotFound, "this kernel has not {}: its types ({}) do not name it",
                     NameOf(program), kKernelTypes);
  const std::uint32_t arguments = btf_vlen(btf__type_by_id(types.get(), prototype));
  return program.kind == Kind::kRawTracepoint ? arguments - 1 : arguments;
}

Status LoadError(const PointProgram& program, int rc, const LoadLog& log) {
  if (log.text().find("is not modifiable") != std::string::npos)
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "Override of {} needs a kernel that lets programs return errors in its place: security_* "
                     "functions, and with CONFIG_FUNCTION_ERROR_INJECTION, which this one lacks, system calls. Hook "
                     "the security_* function or the LSM hook that the call comes to",
                     NameOf(program));
  if (rc == -EPERM && program.kind != Kind::kRawTracepoint)
    return MakeError(
        absl::StatusCode::kFailedPrecondition,
        "a program for {} was refused: it needs a kernel with trampolines for BPF (CONFIG_FUNCTION_TRACER, "
        "for LSM hooks CONFIG_BPF_LSM), CAP_BPF and CAP_PERFMON: {}",
        NameOf(program), log.LastLines(2));
  return MakeError(absl::StatusCode::kFailedPrecondition, "load a program for {}: {}: {}", NameOf(program),
                   strerror(-rc), log.LastLines(8));
}

Status ShareMaps(const hook_point_bpf& skeleton, const SharedHookMaps& maps) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton.obj) {
    if (bpf_map__is_internal(map)) continue;
    const int fd = maps.fd(bpf_map__name(map));
    if (fd < 0) return ErrnoError(ENOENT, "share the map {} of hook policies", bpf_map__name(map));
    if (const int rc = bpf_map__reuse_fd(map, fd); rc != 0)
      return ErrnoError(rc, "share the map {} of hook policies", bpf_map__name(map));
  }
  return OkStatus();
}

}  // namespace

StatusOr<Fd> AttachPointProgram(const PointProgram& program, const SharedHookMaps& maps) {
  const LoadLog log;
  if (program.kind == Kind::kLsm) SL_RETURN_IF_ERROR(RequireBpfModule());
  SL_ASSIGN_OR_RETURN(const std::uint32_t arguments, CountArguments(program));
  LIBBPF_OPTS(bpf_object_open_opts, options, .btf_custom_path = kKernelTypes);
  const std::unique_ptr<hook_point_bpf, SkeletonDeleter> skeleton(hook_point_bpf__open_opts(&options));
  if (skeleton == nullptr) return ErrnoError(errno, "open the BPF object of a hook's point");
  bpf_program* const chosen = ProgramOf(*skeleton, program.kind);
  bpf_program* each = nullptr;
  bpf_object__for_each_program(each, skeleton->obj) bpf_program__set_autoload(each, each == chosen);
  if (program.kind != Kind::kRawTracepoint) {
    if (const int rc = bpf_program__set_attach_target(chosen, 0, program.target.c_str()); rc != 0)
      return LoadError(program, rc, log);
  }
  skeleton->rodata->point_number = program.number;
  skeleton->rodata->argument_count = arguments;
  skeleton->rodata->ring_half = maps.ring_bytes / 2;
  skeleton->rodata->wake_bytes = maps.ring_bytes / 4;
  skeleton->rodata->per_cpu_offsets = maps.preempt.per_cpu_offsets;
  skeleton->rodata->preempt_counter = maps.preempt.counter;
  SL_RETURN_IF_ERROR(ShareMaps(*skeleton, maps));
  if (const int rc = hook_point_bpf__load(skeleton.get()); rc != 0) return LoadError(program, rc, log);
  bpf_link* const link = program.kind == Kind::kRawTracepoint
                             ? bpf_program__attach_raw_tracepoint(chosen, program.target.c_str())
                             : bpf_program__attach(chosen);
  if (link == nullptr && errno == ENOENT)
    return MakeError(absl::StatusCode::kNotFound, "this kernel has not {}", NameOf(program));
  if (link == nullptr) return ErrnoError(errno, "attach a program to {}: {}", NameOf(program), log.LastLines(2));
  Fd own(fcntl(bpf_link__fd(link), F_DUPFD_CLOEXEC, 0));
  const int error = errno;
  bpf_link__destroy(link);  // the copy of its descriptor keeps it attached
  if (!own.valid()) return ErrnoError(error, "keep the program attached to {}", NameOf(program));
  return own;
}

}  // namespace sluice::bpf
