#include "kernel/bpf/tracing_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace sluice::bpf {
namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 24U;  // of a file
constexpr const char* kFunctions = "available_filter_functions";

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

Status TracingFiles::OpenRoot(const std::string& what) const {
  if (root_.valid()) return OkStatus();
  auto root = calls_.OpenTracing();
  if (!root.ok())
    return MakeError(root.status().code(), "{} needs a kernel with tracefs (CONFIG_TRACING), which can be mounted: {}",
                     what, Message(root.status()));
  root_ = *std::move(root);
  return OkStatus();
}

StatusOr<std::string> TracingFiles::ReadEventFile(const std::string& group, const std::string& name,
                                                  const char* file) const {
  SL_RETURN_IF_ERROR(OpenRoot(fmt::format("the tracepoint {}/{}", group, name)));
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

// A line is "name" or "name [module]".
StatusOr<std::vector<std::string>> TracingFiles::Functions() const {
  SL_RETURN_IF_ERROR(OpenRoot("a list of the kernel's functions"));
  const Fd fd(openat(root_.get(), kFunctions, O_RDONLY | O_CLOEXEC));
  if (!fd.valid())
    return ErrnoError(errno, "open {} of tracefs, which this kernel may not have or may keep closed (lockdown)",
                      kFunctions);
  SL_ASSIGN_OR_RETURN(const std::string text, ReadAll(fd.get(), kFunctions));
  std::vector<std::string> all;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    all.push_back(text.substr(begin, std::min(text.find_first_of(" \t\n", begin), end) - begin));
    begin = end + 1;
  }
  std::sort(all.begin(), all.end());
  std::vector<std::string> unique;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool again = (i > 0 && all[i - 1] == all[i]) || (i + 1 < all.size() && all[i + 1] == all[i]);
    if (!again && !all[i].empty()) unique.push_back(all[i]);
  }
  return unique;
}

}  // namespace sluice::bpf
