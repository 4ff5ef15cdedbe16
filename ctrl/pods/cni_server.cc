#include "ctrl/pods/cni_server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/log.h"

namespace sluice::pods {
namespace {

namespace fs = std::filesystem;
using cni::Answer;
using cni::Attachment;
using cni::Command;
using cni::Request;
using Clock = std::chrono::steady_clock;

constexpr int kBacklog = 128;
constexpr std::chrono::seconds kAnswerTimeout{2};

StatusOr<sockaddr_un> SocketAddress(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return InvalidError("{}: a socket's path has 1 to {} bytes", path, sizeof(address.sun_path) - 1);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

bool SomebodyAnswers(const sockaddr_un& address) {
  const Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 || errno == EAGAIN;
}

// The socket appears under its name when it listens, and with its mode: it is made under another one first.
StatusOr<Fd> Listen(const std::string& path) {
  SL_ASSIGN_OR_RETURN(const sockaddr_un address, SocketAddress(path));
  const std::string temporary = path + ".n";
  SL_ASSIGN_OR_RETURN(const sockaddr_un made, SocketAddress(temporary));
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  if (error) return ErrnoError(error.value(), "make {}", fs::path(path).parent_path().string());
  if (SomebodyAnswers(address)) {
    return MakeError(absl::StatusCode::kAlreadyExists, "{}: another agent answers there", path);
  }
  Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.valid()) return ErrnoError(errno, "open a socket");
  unlink(temporary.c_str());
  if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&made), sizeof(made)) != 0) {
    return ErrnoError(errno, "bind {}", temporary);
  }
  if (chmod(temporary.c_str(), S_IRUSR | S_IWUSR) != 0) return ErrnoError(errno, "change mode of {}", temporary);
  if (listen(listener.get(), kBacklog) != 0) return ErrnoError(errno, "listen at {}", temporary);
  if (rename(temporary.c_str(), path.c_str()) != 0) return ErrnoError(errno, "rename {} to {}", temporary, path);
  return listener;
}

bool IsOf(const Fd& connection, uid_t user) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == 0 || peer.uid == user;
}

Answer TryAgain(const std::string& message) { return {.code = cni::kTryAgain, .message = message, .details = {}}; }

bool IsForLater(const Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status) ||
         absl::IsAborted(status);
}

Answer AnswerOf(const Status& status) {
  if (status.ok()) return {};
  return {.code = IsForLater(status) ? cni::kTryAgain : cni::kNotEnforced, .message = Message(status), .details = {}};
}

ToldSandbox SandboxOf(const Request& request) {
  return {.sandbox = {.pod = {request.pod_namespace, request.pod_name},
                      .uid = request.pod_uid,
                      .id = request.attachment.container_id,
                      .netns = request.netns,
                      .interface = request.attachment.ifname},
          .network = request.network};
}

// Names below `directory` that the plugin gives, oldest first.
std::vector<std::pair<Attachment, std::string>> SpoolFiles(const std::string& directory) {
  std::vector<std::tuple<fs::file_time_type, Attachment, std::string>> found;
  std::error_code error;
  for (fs::directory_iterator file(directory, error), end; !error && file != end; file.increment(error)) {
    const auto attachment = cni::ParseFileName(file->path().filename().string());
    if (!attachment.ok()) continue;  // being written
    std::error_code unknown;
    found.emplace_back(file->last_write_time(unknown), *attachment, file->path().string());
    if (found.size() >= cni::kMaxFiles) break;
  }
  std::sort(found.begin(), found.end());
  std::vector<std::pair<Attachment, std::string>> files;
  files.reserve(found.size());
  for (auto& [time, attachment, path] : found) files.emplace_back(std::move(attachment), std::move(path));
  return files;
}

StatusOr<Request> ReadPending(const std::string& path) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd.valid()) return ErrnoError(errno, "open {}", path);
  std::string text(cni::kMaxMessage, '\0');
  const ssize_t size = read(fd.get(), text.data(), text.size());
  if (size < 0) return ErrnoError(errno, "read {}", path);
  text.resize(static_cast<std::size_t>(size));
  auto request = cni::ParseRequest(text);
  if (!request.ok()) return Annotate(request.status(), path);
  if (request->command != Command::kAdd) return InvalidError("{}: not a pod that was added", path);
  return request;
}

}  // namespace

StatusOr<std::unique_ptr<CniServer>> CniServer::Start(Options options, Calls calls) {
  Fd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return ErrnoError(errno, "open an eventfd");
  SL_ASSIGN_OR_RETURN(Fd listener, Listen(options.socket));
  return std::unique_ptr<CniServer>(
      new CniServer(std::move(options), std::move(calls), std::move(listener), std::move(wake)));
}

CniServer::CniServer(Options options, Calls calls, Fd listener, Fd wake)
    : options_(std::move(options)), calls_(std::move(calls)), listener_(std::move(listener)), wake_(std::move(wake)) {
  acceptor_ = std::thread([this] { Accept(); });
  spooler_ = std::thread([this] { WatchSpool(); });
}

CniServer::~CniServer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  eventfd_write(wake_.get(), 1);
  acceptor_.join();
  spooler_.join();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return running_ == 0; });
  // The name stays: the next agent takes its place, and until then a call is refused as by no agent.
}

CniServer::Counts CniServer::counts() const {
  return {.calls = answered_, .busy = busy_, .refused = refused_, .spooled = spooled_};
}

void CniServer::Accept() {
  while (true) {
    pollfd polled[] = {{listener_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    if (poll(polled, 2, -1) < 0 && errno != EINTR) return;
    if (polled[1].revents != 0) return;
    Fd connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection.valid()) {
      // Without descriptors or memory the call waits in the queue, and is answered once there are some.
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
      continue;
    }
    if (!IsOf(connection, options_.user)) {
      ++refused_;
      continue;
    }
    bool has_room = false;
    {
      const std::lock_guard lock(mutex_);
      has_room = running_ < options_.max_calls;
      if (has_room) ++running_;
    }
    if (!has_room) {
      ++busy_;
      const std::string answer = ToJson(TryAgain("the agent has as many calls as it takes at once"));
      // An answer of this size fits into an empty socket; it is not waited for.
      (void)send(connection.get(), answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      continue;
    }
    const auto done = [this] {
      const std::lock_guard lock(mutex_);
      --running_;
      changed_.notify_all();
    };
    try {
      std::thread([this, done, connection = std::move(connection)] {
        Serve(connection);
        done();
      }).detach();
    } catch (const std::system_error&) {  // no more threads
      ++busy_;
      done();
    }
  }
}

void CniServer::Serve(const Fd& connection) {
  const auto text = cni::ReceiveMessage(connection.get(), Clock::now() + options_.read_timeout);
  Answer answer;
  if (!text.ok()) {
    ++refused_;
    answer = TryAgain("the request was not read: " + Message(text.status()));
  } else if (const auto request = cni::ParseRequest(*text); !request.ok()) {
    ++refused_;
    const bool other = absl::IsFailedPrecondition(request.status());
    answer = {.code = other ? cni::kTryAgain : cni::kNotDecoded, .message = Message(request.status()), .details = {}};
  } else {
    answer = AnswerTo(*request);
    ++answered_;
  }
  // A plugin that has gone has nothing to hear; it left a file, or its runtime will call again.
  (void)cni::SendMessage(connection.get(), ToJson(answer), Clock::now() + kAnswerTimeout);
}

Answer CniServer::AnswerTo(const Request& request) {
  switch (request.command) {
    case Command::kAdd: {
      const auto patience =
          request.timeout_ms == 0 ? options_.add_timeout : std::chrono::milliseconds(request.timeout_ms);
      const Status added = calls_.add(SandboxOf(request), Clock::now() + patience);
      if (!added.ok()) {
        LogWarn("pod {}/{} is not added ({}): {}", request.pod_namespace, request.pod_name,
                request.attachment.container_id, Message(added));
      }
      return AnswerOf(added);
    }
    case Command::kDel:
      return AnswerOf(calls_.remove(request.attachment));
    case Command::kCheck: {
      const Status checked = calls_.check(request.attachment);
      Answer answer = AnswerOf(checked);
      if (absl::IsNotFound(checked)) answer.code = cni::kUnknownToAgent;
      return answer;
    }
    case Command::kGc:
      return AnswerOf(calls_.gc(request.network, request.valid));
    case Command::kStatus: {
      const CniHealth health = calls_.health();
      if (health.state == CniHealth::kReady) return {};
      return {.code = health.state == CniHealth::kHolding ? cni::kLimitedConnectivity : cni::kNotAvailable,
              .message = health.reason,
              .details = {}};
    }
  }
  return {.code = cni::kNotDecoded, .message = "unknown command", .details = {}};
}

void CniServer::WatchSpool() {
  while (true) {
    DoSpool();
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, options_.spool_interval, [&] { return stopping_; })) return;
  }
}

void CniServer::DoSpool() {
  std::erase_if(logged_, [](const auto& one) { return access(one.first.c_str(), F_OK) != 0; });
  for (const auto& [attachment, path] : SpoolFiles(options_.directory + "/" + cni::kDeletedDirectory)) {
    const Status removed = calls_.remove(attachment);
    if (!removed.ok()) {
      LogOnce(path, fmt::format("{} stays for later: {}", path, Message(removed)));
      continue;
    }
    Finish(path);
  }
  for (const auto& [attachment, path] : SpoolFiles(options_.directory + "/" + cni::kPendingDirectory)) {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
    }
    const auto request = ReadPending(path);
    if (absl::IsNotFound(request.status())) continue;  // deleted meanwhile
    if (!request.ok()) {
      LogWarn("{}; its pod stays closed", Message(request.status()));
      unlink(path.c_str());
      continue;
    }
    DoPending(*request, path);
  }
}

void CniServer::DoPending(const Request& add, const std::string& path) {
  const std::string pod = add.pod_namespace + "/" + add.pod_name;
  Status done = calls_.add(SandboxOf(add), Clock::now() + options_.add_timeout);
  const bool gone = absl::IsNotFound(done);
  if (done.ok()) {
    done = calls_.open(add);
    if (absl::IsNotFound(done)) done = OkStatus();
  }
  // DEL removes the file before it calls us: it may have come before our `add`.
  if (access(path.c_str(), F_OK) != 0) {
    const Status removed = calls_.remove(add.attachment);
    if (!removed.ok()) LogWarn("pod {} was deleted meanwhile: {}", pod, Message(removed));
    return;
  }
  if (!done.ok() && !gone) {
    LogOnce(path,
            fmt::format("pod {}, which was added while the agent was away, stays closed: {}", pod, Message(done)));
    return;
  }
  if (!gone) LogInfo("pod {}, which was added while the agent was away, is open", pod);
  Finish(path);
}

// Each second the same would be too much.
void CniServer::LogOnce(const std::string& path, const std::string& problem) {
  std::string& last = logged_[path];
  if (last == problem) return;
  last = problem;
  LogWarn("{}", problem);
}

void CniServer::Finish(const std::string& path) {
  unlink(path.c_str());
  logged_.erase(path);
  ++spooled_;
}

}  // namespace sluice::pods
