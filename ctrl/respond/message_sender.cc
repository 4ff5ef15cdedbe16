#include "ctrl/respond/message_sender.h"

#include <thread>
#include <utility>

#include "ctrl/kube/json_post.h"

namespace sluice::respond {
namespace {

using namespace std::chrono_literals;
using policy::response::Notify;

constexpr auto kLookForEnd = 100ms;

}  // namespace

StatusOr<kube::CurlTransport*> MessageSender::Connect(const Notify& notify) {
  const std::string server = kube::PartsOf(notify.url).server;
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
  const auto answer = kube::PostJson(transport, kube::PartsOf(notify.url).path, json, options_.timeout, interrupted_);
  if (!answer) return {.status = MakeError(absl::StatusCode::kCancelled, "the agent ends")};
  const int code = answer->head.code;
  if (code / 100 == 2) return {};
  if (code == 0) return {.status = Annotate(answer->status, notify.url), .may_pass = true};
  return {.status = MakeError(absl::StatusCode::kUnavailable, "{}: the receiver answers {}", notify.url, code),
          .may_pass = kube::MayPass(code)};
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
