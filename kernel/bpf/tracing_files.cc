#include "kernel/bpf/tracing_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

namespace sluice::bpf {
namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 20U;  // of a format

StatusOr<std::string> ReadAll(int fd, const std::string& path) {
  std::string text;
  char part[4096];
  while (text.size() < kMostBytes) {
    const ssize_t length = read(fd, part, sizeof(part));
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return ErrnoError(errno, "read {} of tracefs", path);
    if (length == 0) return text;
    text.append(part, static_cast<std::size_t>(length));
  }
  return InvalidError("{} of tracefs has more than {} bytes", path, kMostBytes);
}

}  // namespace

StatusOr<std::string> TracingFiles::ReadEventFile(const std::string& group, const std::string& name,
                                                  const char* file) const {
  if (!root_.valid()) {
    auto root = calls_.OpenTracing();
    if (!root.ok())
      return MakeError(root.status().code(),
                       "the tracepoint {}/{} needs a kernel with tracefs (CONFIG_TRACING), which can be mounted: {}",
                       group, name, Message(root.status()));
    root_ = *std::move(root);
  }
  const std::string path = fmt::format("events/{}/{}/{}", group, name, file);
  const Fd fd(openat(root_.get(), path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid() && errno == ENOENT)
    return MakeError(absl::StatusCode::kNotFound,
                     "this kernel has no tracepoint {}/{}: those that it has are below events/ in tracefs", group,
                     name);
  if (!fd.valid()) return ErrnoError(errno, "open {} of tracefs", path);
  return ReadAll(fd.get(), path);
}

StatusOr<std::vector<policy::tracing::TracepointField>> TracingFiles::FieldsOf(const std::string& group,
                                                                               const std::string& name) const {
  SL_ASSIGN_OR_RETURN(const std::string text, ReadEventFile(group, name, "format"));
  return policy::tracing::ParseTracepointFormat(text);
}

StatusOr<std::uint32_t> TracingFiles::TracepointId(const std::string& group, const std::string& name) const {
  SL_ASSIGN_OR_RETURN(const std::string text, ReadEventFile(group, name, "id"));
  std::uint32_t id = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), id).ec != std::errc())
    return InvalidError("the number of the tracepoint {}/{} is no number: {}", group, name, text);
  return id;
}

}  // namespace sluice::bpf
