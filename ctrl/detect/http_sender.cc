#include "ctrl/detect/http_sender.h"

#include <fmt/format.h>

#include <utility>

#include "ctrl/kube/retry_after.h"
#include "telemetry/falco/falco_event.h"

namespace sluice::detect {
namespace {

using namespace std::chrono_literals;

constexpr int kTries = 5;

}  // namespace

std::string UrlProblem(const std::string& url) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!url.starts_with(scheme)) continue;
    const std::string rest = url.substr(scheme.size());
    if (rest.empty() || rest.front() == '/') return "there is no host in " + url;
    if (rest.substr(0, rest.find('/')).find('@') != std::string::npos) return "a URL must not have a user: " + url;
    for (const char c : url) {
      if (c <= ' ' || c == 0x7f) return "a URL must not have blanks or control characters";
    }
    return "";
  }
  return "expected http://HOST... or https://HOST..., not " + url;
}

StatusOr<std::unique_ptr<HttpSender>> HttpSender::Create(const HttpReceiver& receiver, const kube::Timing& timing) {
  if (const std::string problem = UrlProblem(receiver.url); !problem.empty()) return InvalidError("{}", problem);
  if (receiver.certificate.empty() != receiver.key.empty())
    return InvalidError("a certificate needs its key, and a key its certificate");
  const kube::UrlParts url = kube::PartsOf(receiver.url);
  kube::ApiConfig config;
  config.server = url.server;
  config.ca.file = receiver.ca;
  config.client_certificate.file = receiver.certificate;
  config.client_key.file = receiver.key;
  SL_ASSIGN_OR_RETURN(auto transport, kube::CurlTransport::Create(std::move(config), timing, kube::RealEnvironment()));
  return std::unique_ptr<HttpSender>(new HttpSender(std::move(transport), url.path, timing));
}

HttpSender::HttpSender(std::unique_ptr<kube::CurlTransport> transport, std::string path, const kube::Timing& timing)
    : transport_(std::move(transport)), path_(std::move(path)), timing_(timing) {}

HttpSender::Result HttpSender::Send(const v1::Event& detection) {
  const auto json = telemetry::ToFalcoJson(detection);
  if (!json.ok()) return {.sent = Sent::kRefused, .problem = Message(json.status())};
  const auto answer = kube::PostJson(*transport_, path_, *json, timing_.write_timeout, interrupted_);
  if (!answer) return {.sent = Sent::kLater, .problem = "the agent ends"};
  return ResultOf(*answer);
}

HttpSender::Result HttpSender::ResultOf(const kube::PostAnswer& answer) {
  const int code = answer.head.code;
  const int refusals = std::exchange(refusals_, 0);
  if (code == 0) {
    refusals_ = refusals;
    return {.sent = Sent::kLater, .problem = answer.status.ok() ? "the answer has no status" : Message(answer.status)};
  }
  if (code / 100 == 2) return {};
  const std::string problem = fmt::format("the receiver answers {}", code);
  if (!kube::MayPass(code) || refusals + 1 >= kTries) return {.sent = Sent::kRefused, .problem = problem};
  refusals_ = refusals + 1;
  const auto pause = kube::ParseRetryAfter(answer.head.retry_after, kube::WallTime::clock::now());
  return {.sent = Sent::kLater, .problem = problem, .at_earliest = pause.value_or(0s)};
}

void HttpSender::Interrupt() {
  interrupted_ = true;
  transport_->Wake();
}

}  // namespace sluice::detect
