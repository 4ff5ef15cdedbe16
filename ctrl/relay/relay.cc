#include "ctrl/relay/relay.h"

#include "ctrl/relay/relay_metrics.h"

namespace sluice::cluster {
namespace {

// Each reader has a stream to every agent, where one host may have 30 (docs/relay.md).
constexpr std::size_t kFollowers = 24;
constexpr std::size_t kReaders = 8;

api::ServerOptions Limited(api::ServerOptions options) {
  const auto set = [&](api::CallKind kind, std::size_t total, std::size_t of_root) {
    const auto index = static_cast<std::size_t>(kind);
    options.calls.total.at(index) = total;
    options.calls.of_one.at(index) = total / 2;
    options.calls.of_root.at(index) = of_root;
  };
  set(api::CallKind::kFollow, kFollowers, 4);
  set(api::CallKind::kRead, kReaders, 2);
  return options;
}

telemetry::HttpReply ReadyReply(const Nodes& nodes) {
  if (nodes.connected().empty()) {
    const std::string missing = nodes.MissingText();
    return {.code = 503, .body = missing + "\n"};
  }
  const std::string missing = nodes.MissingText();
  return {.body = missing.empty() ? "all nodes answer\n" : missing + "\n"};
}

}  // namespace

StatusOr<std::unique_ptr<ClusterRelay>> ClusterRelay::Start(const RelayOptions& options, const std::string& version) {
  SL_RETURN_IF_ERROR(CheckOptions(options));
  std::unique_ptr<ClusterRelay> relay(new ClusterRelay());
  SL_RETURN_IF_ERROR(relay->Begin(options, version));
  return relay;
}

Status ClusterRelay::Begin(const RelayOptions& options, const std::string& version) {
  nodes_ = std::make_unique<Nodes>(Nodes::Options{.tls = options.tls, .most = options.max_nodes});
  ObserveLimits limits;
  limits.hold = std::chrono::milliseconds(options.hold_ms);
  service_ = std::make_unique<RelayService>(nodes_.get(), RelayFacts{.name = options.name, .version = version}, limits);
  SL_RETURN_IF_ERROR(ServeMetrics(options.metrics));
  SL_RETURN_IF_ERROR(FindNodes(options));
  SL_ASSIGN_OR_RETURN(server_, api::Server::Start(Limited(options.listen), service_->served()));
  return OkStatus();
}

Status ClusterRelay::FindNodes(const RelayOptions& options) {
  if (!options.kube.kube.empty()) {
    SL_ASSIGN_OR_RETURN(kube_, KubeNodes::Start(options.kube, nodes_.get()));
    return OkStatus();
  }
  if (options.agents_file.empty()) {
    nodes_->Set(options.agents, "--agent");
    return OkStatus();
  }
  SL_ASSIGN_OR_RETURN(file_, NodeFile::Start(options.agents_file, options.agents, nodes_.get()));
  return OkStatus();
}

Status ClusterRelay::ServeMetrics(const std::string& address) {
  if (address.empty()) return OkStatus();
  telemetry::HttpServer::Handlers handlers;
  handlers["/metrics"] = [this] {
    return telemetry::HttpReply{.content_type = "text/plain; version=0.0.4; charset=utf-8",
                                .body = MetricsText(service_->ReadStatus(false))};
  };
  handlers["/healthz"] = [] { return telemetry::HttpReply{.body = "the relay runs\n"}; };
  handlers["/readyz"] = [this] { return ReadyReply(*nodes_); };
  auto http = telemetry::HttpServer::Start(address, std::move(handlers));
  if (!http.ok()) return Annotate(http.status(), "--metrics");
  http_ = *std::move(http);
  return OkStatus();
}

ClusterRelay::~ClusterRelay() {
  if (service_) service_->Stop();
  kube_.reset();
  file_.reset();
  server_.reset();
  http_.reset();
}

}  // namespace sluice::cluster
