#include "ctrl/respond/message_sender.h"

#include <thread>
#include <utility>

namespace sluice::respond {
namespace {

using namespace std::chrono_literals;
using policy::response::Notify;

constexpr auto kLookForEnd = 100ms;
constexpr std::size_t kMaxAnswerBytes = 64U << 10U;
constexpr int kRequestTimeout = 408;
constexpr int kTooManyRequests = 429;

// Keeps of the answer what says whether the message has arrived.
class Answer final : public kube::HttpHandler {
 public:
  void OnHead(const kube::HttpHead& head) override { code_ = head.code; }
  bool OnBody(std::string_view data) override { return (bytes_ += data.size()) <= kMaxAnswerBytes; }
  void OnEnd(const Status& status) override {
    status_ = status;
    ended_ = true;
  }
  bool ended() const { return ended_; }
  int code() const { return code_; }  // 0: none came
  const Status& status() const { return status_; }

 private:
  int code_ = 0;
  std::size_t bytes_ = 0;
  Status status_;
  bool ended_ = false;
};

std::size_t PathBegin(const std::string& url) { return url.find('/', url.find("://") + 3); }

std::string PathOf(const std::string& url) {
  const std::size_t slash = PathBegin(url);
  return slash == std::string::npos ? "/" : url.substr(slash);
}

}  // namespace

StatusOr<kube::CurlTransport*> MessageSender::Connect(const Notify& notify) {
  const std::string server = notify.url.substr(0, PathBegin(notify.url));
  const std::string key = fmt::format("{}\n{}\n{}\n{}\n{}", server, notify.ca_file, notify.certificate_file,
                                      notify.key_file, notify.token_file);
  if (const auto found = transports_.find(key); found != transports_.end()) return found->second.get();
  kube::ApiConfig config;
  config.server = server;
  config.ca.file = notify.ca_file;
  config.client_certificate.file = notify.certificate_file;
  config.client_key.file = notify.key_file;
  config.token.file = notify.token_file;
  SL_ASSIGN_OR_RETURN(auto transport, kube::CurlTransport::Create(std::move(config), {}, kube::RealEnvironment()));
  if (transports_.size() >= options_.max_receivers) transports_.clear();
  return (transports_[key] = std::move(transport)).get();
}

MessageSender::Result MessageSender::SendOnce(kube::CurlTransport& transport, const Notify& notify,
                                              const std::string& json) {
  transport.RefreshCredentials();
  Answer answer;
  const kube::HttpRequest request{.method = "POST",
                                  .path = PathOf(notify.url),
                                  .content_type = "application/json",
                                  .body = json,
                                  .timeout = options_.timeout};
  const std::uint64_t exchange = transport.Start(request, &answer);
  while (!answer.ended() && !interrupted_) transport.Run(kLookForEnd);
  if (!answer.ended()) {
    transport.Cancel(exchange);
    return {.status = MakeError(absl::StatusCode::kCancelled, "the agent ends")};
  }
  const int code = answer.code();
  if (code / 100 == 2) return {};
  if (code == 0) return {.status = Annotate(answer.status(), notify.url), .may_pass = true};
  return {.status = MakeError(absl::StatusCode::kUnavailable, "{}: the receiver answers {}", notify.url, code),
          .may_pass = code >= 500 || code == kRequestTimeout || code == kTooManyRequests};
}

Status MessageSender::Send(const Notify& notify, const std::string& json) {
  SL_ASSIGN_OR_RETURN(kube::CurlTransport* const transport, Connect(notify));
  auto pause = options_.first_pause;
  for (int left = options_.tries;; pause *= 2) {
    const Result result = SendOnce(*transport, notify, json);
    if (result.status.ok() || !result.may_pass || --left == 0) return result.status;
    const auto until = std::chrono::steady_clock::now() + pause;
    while (!interrupted_ && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(kLookForEnd);
  }
}

}  // namespace sluice::respond
