#include "ctrl/otlp/otlp_sender.h"

#include <absl/strings/ascii.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string_view>

#include "base/log.h"

namespace sluice::otlp {
namespace {

namespace logs = opentelemetry::proto::collector::logs::v1;
namespace metrics = opentelemetry::proto::collector::metrics::v1;

constexpr std::string_view kPlain = "http://", kTls = "https://", kUnix = "unix://";
constexpr int kMaxAnswerBytes = 1 << 20;
constexpr int kConnectMilliseconds = 5000;
constexpr int kFirstReconnectMilliseconds = 200;
constexpr int kMaxReconnectMilliseconds = 5000;
constexpr std::size_t kMaxHeaders = 32;
constexpr std::size_t kMaxHeaderBytes = 8192;  // of a line

// "HOST:PORT" of an endpoint by TCP.
std::string_view PlaceOf(std::string_view endpoint) {
  endpoint.remove_prefix(endpoint.starts_with(kTls) ? kTls.size() : kPlain.size());
  if (endpoint.ends_with('/')) endpoint.remove_suffix(1);
  return endpoint;
}

// Nothing else, and from 1 to 65535.
bool IsPort(std::string_view text) {
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, port);
  return error == std::errc() && rest == end && port != 0;
}

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

bool IsLoopback(std::string_view place) {
  return place.starts_with("127.") || place.starts_with("[::1]:") || place.starts_with("localhost:");
}

bool IsHeaderName(std::string_view name) {
  return !name.empty() && !name.starts_with("grpc-") && !name.ends_with("-bin") &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
         });
}

bool IsHeaderValue(std::string_view value) {
  return !value.empty() && std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace

std::string EndpointProblem(const std::string& endpoint) {
  const std::string expected = "; expected https://HOST:PORT, http://HOST:PORT or unix:///PATH";
  if (endpoint.starts_with(kUnix))
    return endpoint.size() > kUnix.size() && endpoint[kUnix.size()] == '/' ? "" : endpoint + ": no path" + expected;
  if (!endpoint.starts_with(kTls) && !endpoint.starts_with(kPlain)) return endpoint + ": no such address" + expected;
  const std::string_view place = PlaceOf(endpoint);
  const std::size_t colon = place.rfind(':');
  const std::string_view host = place.substr(0, std::min(colon, place.size()));
  if (colon == std::string_view::npos || !IsPort(place.substr(colon + 1)))
    return endpoint + ": no port (OTLP's is 4317)" + expected;
  const bool is_v6 = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (host.empty() || (!is_v6 && host.find_first_of(":/@[] ") != std::string_view::npos) ||
      host.find('/') != std::string_view::npos)
    return endpoint + ": no host" + expected;
  return "";
}

StatusOr<OtlpHeaders> ReadHeaders(const std::string& path) {
  std::ifstream in(path);
  if (!in) return InvalidError("{}: cannot be opened: {}", path, std::generic_category().message(errno));
  OtlpHeaders headers;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    if (line.size() > kMaxHeaderBytes) return InvalidError("{}:{}: more than {} bytes", path, number, kMaxHeaderBytes);
    const std::string_view text = Trimmed(line);
    if (text.empty() || text.front() == '#') continue;
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return InvalidError("{}:{}: expected NAME: VALUE", path, number);
    const std::string name = absl::AsciiStrToLower(std::string(Trimmed(text.substr(0, colon))));
    const std::string_view value = Trimmed(text.substr(colon + 1));
    if (!IsHeaderName(name)) {
      return InvalidError("{}:{}: the name of a header has letters, digits, '-', '_' and '.', and is not gRPC's own",
                          path, number);
    }
    if (!IsHeaderValue(value))
      return InvalidError("{}:{}: the value of {} has to be of visible ASCII characters", path, number, name);
    headers.emplace_back(name, value);
    if (headers.size() > kMaxHeaders) return InvalidError("{}:{}: more than {} headers", path, number, kMaxHeaders);
  }
  return headers;
}

std::uint64_t CountItems(const logs::ExportLogsServiceRequest& request) {
  std::uint64_t items = 0;
  for (const auto& resource : request.resource_logs())
    for (const auto& scope : resource.scope_logs()) items += static_cast<std::uint64_t>(scope.log_records_size());
  return items;
}

std::uint64_t CountItems(const metrics::ExportMetricsServiceRequest& request) {
  int items = 0;
  for (const auto& resource : request.resource_metrics()) {
    for (const auto& scope : resource.scope_metrics()) {
      for (const auto& metric : scope.metrics()) {
        items +=
            metric.gauge().data_points_size() + metric.sum().data_points_size() + metric.histogram().data_points_size();
      }
    }
  }
  return static_cast<std::uint64_t>(items);
}

StatusOr<std::unique_ptr<OtlpSender>> OtlpSender::Create(OtlpReceiver receiver, std::chrono::milliseconds timeout) {
  if (const std::string problem = EndpointProblem(receiver.endpoint); !problem.empty())
    return InvalidError("{}", problem);
  if (!receiver.endpoint.starts_with(kTls) && !receiver.tls.empty())
    return InvalidError("{}: TLS files are for https://", receiver.endpoint);
  std::unique_ptr<OtlpSender> sender(new OtlpSender(std::move(receiver), timeout));
  const std::string& endpoint = sender->receiver_.endpoint;
  if (!sender->receiver_.headers.empty() && endpoint.starts_with(kPlain) && !IsLoopback(PlaceOf(endpoint)))
    LogWarn("{}: the headers in {} are sent without TLS", endpoint, sender->receiver_.headers);
  sender->facts_ = sender->FileFacts();
  SL_RETURN_IF_ERROR(sender->Connect());
  return sender;
}

Status OtlpSender::Connect() {
  OtlpHeaders headers;
  if (!receiver_.headers.empty()) {
    SL_ASSIGN_OR_RETURN(headers, ReadHeaders(receiver_.headers));
  }
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (receiver_.endpoint.starts_with(kTls)) {
    SL_ASSIGN_OR_RETURN(credentials, api::MakeOutgoingCredentials(receiver_.tls));
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Despite its name, this also limits one attempt to connect.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectMilliseconds);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnectMilliseconds);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxReconnectMilliseconds);
  arguments.SetUserAgentPrefix("OTel-OTLP-Exporter-Sluice");
  const std::string target =
      receiver_.endpoint.starts_with(kUnix) ? receiver_.endpoint : std::string(PlaceOf(receiver_.endpoint));
  const auto channel = grpc::CreateCustomChannel(target, credentials, arguments);
  headers_ = std::move(headers);
  logs_ = logs::LogsService::NewStub(channel);
  metrics_ = metrics::MetricsService::NewStub(channel);
  return OkStatus();
}

std::string OtlpSender::FileFacts() const {
  std::string facts;
  for (const std::string& path : {receiver_.tls.ca, receiver_.tls.certificate, receiver_.tls.key, receiver_.headers}) {
    struct stat found {};
    if (path.empty() || stat(path.c_str(), &found) != 0) continue;
    facts += fmt::format("{} {} {}.{};", found.st_ino, found.st_size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec);
  }
  return facts;
}

void OtlpSender::ConnectAgainIfFilesChanged() {
  std::string facts = FileFacts();
  if (facts == facts_) return;
  facts_ = std::move(facts);
  if (const Status connected = Connect(); !connected.ok())
    LogError("{}: its files have changed and are wrong, so the earlier ones are used: {}", receiver_.endpoint,
             Message(connected));
}

// `call`: sends and waits.
template <typename Call>
grpc::Status OtlpSender::Run(const Call& call) {
  ConnectAgainIfFilesChanged();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout_);
  for (const auto& [name, value] : headers_) context.AddMetadata(name, value);
  {
    const std::lock_guard lock(mutex_);
    if (interrupted_) return {grpc::StatusCode::CANCELLED, "the agent ends"};
    running_ = &context;
  }
  grpc::Status status = call(&context);
  const std::lock_guard lock(mutex_);
  running_ = nullptr;
  return status;
}

void OtlpSender::Interrupt() {
  const std::lock_guard lock(mutex_);
  interrupted_ = true;
  if (running_ != nullptr) running_->TryCancel();
}

OtlpResult OtlpSender::Send(const logs::ExportLogsServiceRequest& request) {
  logs::ExportLogsServiceResponse answer;
  const grpc::Status status =
      Run([&](grpc::ClientContext* context) { return logs_->Export(context, request, &answer); });
  if (!status.ok() || !answer.has_partial_success()) return ResultOf(status);
  return PartialResult(answer.partial_success().rejected_log_records(), CountItems(request),
                       answer.partial_success().error_message());
}

OtlpResult OtlpSender::Send(const metrics::ExportMetricsServiceRequest& request) {
  metrics::ExportMetricsServiceResponse answer;
  const grpc::Status status =
      Run([&](grpc::ClientContext* context) { return metrics_->Export(context, request, &answer); });
  if (!status.ok() || !answer.has_partial_success()) return ResultOf(status);
  return PartialResult(answer.partial_success().rejected_data_points(), CountItems(request),
                       answer.partial_success().error_message());
}

}  // namespace sluice::otlp
