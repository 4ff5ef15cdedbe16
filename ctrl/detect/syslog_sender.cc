#include "ctrl/detect/syslog_sender.h"

#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/printable.h"
#include "policy/rules/alert.h"
#include "telemetry/falco/falco_event.h"

namespace sluice::detect {
namespace {

constexpr std::size_t kMaxMessageBytes = 8192;

// RFC 3164, as libc's syslog(3) writes it. The severities are those of Falco's priorities, in the same order.
std::string MessageOf(const policy::rules::Alert& alert, SyslogSender::Form form) {
  const std::string time = absl::FormatTime("%b %e %H:%M:%S", absl::Now(), absl::LocalTimeZone());
  std::string message = fmt::format("<{}>{} sluice[{}]: ", LOG_USER | static_cast<int>(alert.priority), time, getpid());
  message += form == SyslogSender::Form::kJson ? AlertJson(alert) : Printable(AlertText(alert));
  if (message.size() <= kMaxMessageBytes) return message;
  std::size_t end = kMaxMessageBytes;
  while ((static_cast<unsigned char>(message[end]) & 0xc0U) == 0x80) --end;  // not within a character
  message.resize(end);
  return message;
}

}  // namespace

Status SyslogSender::Connect() {
  if (socket_.valid()) return OkStatus();
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (path_.size() >= sizeof(address.sun_path)) return InvalidError("{}: too long for a socket's path", path_);
  std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return ErrnoError(errno, "socket");
  const timeval longest{.tv_sec = 1, .tv_usec = 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &longest, sizeof(longest));
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return ErrnoError(errno, "connect to {}", path_);
  socket_ = std::move(socket);
  return OkStatus();
}

SyslogSender::Result SyslogSender::Send(const v1::Event& detection) {
  const auto alert = telemetry::ToFalcoAlert(detection);
  if (!alert) return {.sent = Sent::kRefused, .problem = "no detection"};
  if (const Status connected = Connect(); !connected.ok()) return {.sent = Sent::kLater, .problem = Message(connected)};
  const std::string message = MessageOf(*alert, form_);
  if (send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL) >= 0) return {};
  const int error = errno;
  if (error == EMSGSIZE) return {.sent = Sent::kRefused, .problem = Message(ErrnoError(error, "{}", path_))};
  if (error != EAGAIN && error != EINTR) socket_ = Fd();  // the daemon may have another socket by now
  return {.sent = Sent::kLater, .problem = Message(ErrnoError(error, "send to {}", path_))};
}

}  // namespace sluice::detect
