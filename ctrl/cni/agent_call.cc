#include "ctrl/cni/agent_call.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include "base/fd.h"

namespace sluice::cni {
namespace {

using namespace std::chrono_literals;

constexpr auto kRetryPause = 100ms;

StatusOr<Answer> AskOnce(const std::string& path, const Request& request, Deadline deadline) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (path.size() >= sizeof(address.sun_path)) return absl::UnavailableError("the socket's path is too long");
  std::memcpy(address.sun_path, path.data(), path.size());
  const Fd connection(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!connection.valid()) return ErrnoError(errno, "open a socket");
  if (connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    if (errno == EAGAIN) return absl::UnavailableError("too many calls wait for it");
    return absl::UnavailableError(fmt::format("connect: {}", std::strerror(errno)));
  }
  // An agent that has no room answers before it has read the request.
  const Status sent = SendMessage(connection.get(), ToJson(request), deadline);
  if (!sent.ok() && !absl::IsUnavailable(sent)) return sent;
  SL_ASSIGN_OR_RETURN(const std::string answer, ReceiveMessage(connection.get(), deadline));
  if (answer.empty()) return absl::UnavailableError("it closed the connection without an answer");
  return ParseAnswer(answer);
}

}  // namespace

StatusOr<Answer> AskAgent(const CallOptions& options, Request request) {
  const Deadline deadline = Deadline::clock::now() + options.patience;
  StatusOr<Answer> answer = absl::UnavailableError("no time to ask it");
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Deadline::clock::now());
    if (left <= 0ms) break;
    request.timeout_ms = static_cast<std::uint32_t>(left.count());
    answer = AskOnce(options.socket, request, deadline);
    if (!options.retry || (answer.ok() && answer->code != kTryAgain)) break;
    std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(kRetryPause, deadline - Deadline::clock::now()));
  }
  if (answer.ok() || absl::IsUnavailable(answer.status())) return answer;
  return absl::UnavailableError(Message(answer.status()));
}

}  // namespace sluice::cni
