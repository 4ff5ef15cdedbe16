#include "kernel/bpf/socket_iterator.h"

#include <bpf/libbpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <set>
#include <string>

#include "base/fd.h"
#include "kernel/bpf/iterator.h"
#include "kernel/bpf/link.h"

namespace sluice::bpf {
namespace {

namespace fs = std::filesystem;

// The process has ended.
bool IsGone(int error) { return error == ENOENT || error == ESRCH; }

}  // namespace

StatusOr<std::vector<Fd>> OpenNamespacesOfProcesses() {
  std::vector<Fd> namespaces;
  std::set<ino_t> known;
  std::error_code error;
  for (const auto& process : fs::directory_iterator("/proc", error)) {
    const std::string name = process.path().filename();
    if (!std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c) != 0; })) continue;
    const std::string path = fmt::format("/proc/{}/ns/net", name);
    struct stat facts {};
    if (stat(path.c_str(), &facts) != 0 || known.contains(facts.st_ino)) continue;
    Fd netns(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!netns.valid() && IsGone(errno)) continue;
    if (!netns.valid() || fstat(netns.get(), &facts) != 0) return ErrnoError(errno, "open {}", path);
    if (known.insert(facts.st_ino).second) namespaces.push_back(std::move(netns));
  }
  if (error) return ErrnoError(error.value(), "list /proc");
  return namespaces;
}

Status IterateSockets(const bpf_program* program, const AdminCalls& calls, std::span<const int> netns_fds,
                      const std::function<void(std::string_view)>& consume) {
  const std::unique_ptr<bpf_link, int (*)(bpf_link*)> link(bpf_program__attach_iter(program, nullptr),
                                                           bpf_link__destroy);
  if (!link) return ErrnoError(errno, "create the iterator {}", bpf_program__name(program));
  const std::uint32_t id = IdOfLink(bpf_link__fd(link.get()));
  for (const int netns_fd : netns_fds) {
    SL_ASSIGN_OR_RETURN(const Fd iterator, calls.OpenIterator(id, netns_fd));
    SL_RETURN_IF_ERROR(Annotate(ReadIterator(iterator.get(), consume), bpf_program__name(program)));
  }
  return OkStatus();
}

}  // namespace sluice::bpf
