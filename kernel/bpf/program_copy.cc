#include "kernel/bpf/program_copy.h"

#include <bpf/libbpf.h>
#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "kernel/bpf/load_log.h"
#include "kernel/bpf/system.h"

namespace sluice::bpf {
namespace {

struct ObjectDeleter {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};

// The maps of one file are in one order.
Status ShareMaps(const bpf_object& loaded, const bpf_object& copy) {
  const bpf_map* from = nullptr;
  bpf_map* to = nullptr;
  bpf_object__for_each_map(to, &copy) {
    from = bpf_object__next_map(&loaded, from);
    const int rc = from == nullptr ? -ENOENT : bpf_map__reuse_fd(to, bpf_map__fd(from));
    if (rc != 0) return ErrnoError(rc, "take over the map {}", bpf_map__name(to));
  }
  return OkStatus();
}

}  // namespace

StatusOr<Fd> LoadCopy(const bpf_object& loaded, std::span<const std::byte> file, const std::string& program) {
  const LoadLog log;
  LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = bpf_object__name(&loaded), .btf_custom_path = kKernelTypes);
  const std::unique_ptr<bpf_object, ObjectDeleter> copy(bpf_object__open_mem(file.data(), file.size(), &options));
  if (copy == nullptr) return ErrnoError(errno, "open the BPF object of {} again", program);
  bpf_program* const chosen = bpf_object__find_program_by_name(copy.get(), program.c_str());
  if (chosen == nullptr) return MakeError(absl::StatusCode::kInternal, "there is no program {}", program);
  bpf_program* each = nullptr;
  bpf_object__for_each_program(each, copy.get()) bpf_program__set_autoload(each, each == chosen);
  SL_RETURN_IF_ERROR(ShareMaps(loaded, *copy));
  if (const int rc = bpf_object__load(copy.get()); rc != 0)
    return MakeError(absl::StatusCode::kFailedPrecondition, "load {} again: {}: {}", program, strerror(-rc),
                     log.LastLines(8));
  Fd own(fcntl(bpf_program__fd(chosen), F_DUPFD_CLOEXEC, 0));
  if (!own.valid()) return ErrnoError(errno, "keep the copy of {}", program);
  return own;
}

}  // namespace sluice::bpf
