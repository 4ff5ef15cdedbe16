#include "ctrl/kube/config.h"

#include <absl/strings/ascii.h>
#include <absl/strings/numbers.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "base/fd.h"

namespace sluice::kube {
namespace {

constexpr std::size_t kMaxFileBytes = 1U << 20U;

StatusOr<std::string> Variable(const char* name) {
  const char* value = std::getenv(name);
  if (value != nullptr && *value != 0) return std::string(value);
  return MakeError(absl::StatusCode::kNotFound, "not in a Kubernetes cluster: {} is not set", name);
}

}  // namespace

StatusOr<std::string> ReadSmallFile(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, "open {}", path);
  std::string text;
  std::array<char, 4096> part;
  while (true) {
    const ssize_t got = ::read(fd.get(), part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError(errno, "read {}", path);
    if (got == 0) return text;
    text.append(part.data(), static_cast<std::size_t>(got));
    if (text.size() > kMaxFileBytes) return InvalidError("{}: more than {} bytes", path, kMaxFileBytes);
  }
}

StatusOr<ApiConfig> InClusterConfig(const std::string& directory) {
  SL_ASSIGN_OR_RETURN(const std::string host, Variable("KUBERNETES_SERVICE_HOST"));
  SL_ASSIGN_OR_RETURN(const std::string port, Variable("KUBERNETES_SERVICE_PORT"));
  std::uint32_t number = 0;
  if (!absl::SimpleAtoi(port, &number) || number == 0 || number > 65535) {
    return InvalidError("KUBERNETES_SERVICE_PORT: \"{}\" is no port", port);
  }
  ApiConfig config;
  const bool is_ipv6 = host.find(':') != std::string::npos && !host.starts_with('[');
  config.server = fmt::format("https://{}:{}", is_ipv6 ? "[" + host + "]" : host, number);
  config.token.file = directory + "/token";
  config.ca.file = directory + "/ca.crt";
  for (const std::string& file : {config.token.file, config.ca.file}) SL_RETURN_IF_ERROR(ReadSmallFile(file).status());
  // A pod's own namespace is no condition for reading the cluster's objects.
  if (const auto ns = ReadSmallFile(directory + "/namespace"); ns.ok()) {
    config.ns = std::string(absl::StripAsciiWhitespace(*ns));
  }
  return config;
}

}  // namespace sluice::kube
