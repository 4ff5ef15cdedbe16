#include "ctrl/relay/node.h"

#include <google/protobuf/util/time_util.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>

#include "base/printable.h"

namespace sluice::cluster {
namespace {

constexpr std::size_t kLongestName = 253;
constexpr std::size_t kLongestText = 300;
constexpr int kConnectMilliseconds = 2000;
constexpr int kMaxBackoffMilliseconds = 5000;
// Of one message from an agent: an event, an object, a status.
constexpr int kMaxAnswerBytes = 8 << 20;

bool IsName(const std::string& text) {
  return !text.empty() && text.size() <= kLongestName && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
  });
}

}  // namespace

std::string Harmless(const std::string& text) {
  std::string printable = Printable(text.substr(0, kLongestText));
  if (text.size() > kLongestText) printable += "...";
  return printable;
}

StatusOr<NodeAddress> ParseNodeAddress(const std::string& text) {
  const std::size_t equals = text.find('=');
  NodeAddress node{.name = equals == std::string::npos ? "" : text.substr(0, equals),
                   .address = equals == std::string::npos ? text : text.substr(equals + 1)};
  if (node.address.starts_with('/')) node.address.insert(0, "unix://");
  const std::size_t colon = node.address.rfind(':');
  const bool is_address = colon != std::string::npos && colon + 1 < node.address.size() &&
                          node.address.find_first_of(" \t\r\n") == std::string::npos &&
                          (node.address.starts_with("unix:///") ||
                           (colon != 0 && node.address.find('/') == std::string::npos &&
                            node.address.find_first_not_of("0123456789", colon + 1) == std::string::npos));
  if (!is_address || (equals != std::string::npos && !IsName(node.name))) {
    return InvalidError("{}: expected an agent's address, or NAME=ADDRESS: unix:///PATH, or HOST:PORT",
                        PrintableWord(text));
  }
  return node;
}

StatusOr<NodePtr> Node::Make(const NodeAddress& address, const AgentTls& tls) {
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  if (address.address.starts_with("unix:")) {
    credentials = grpc::InsecureChannelCredentials();
  } else if (!tls.files.complete()) {
    return InvalidError("agent {}: TCP needs --agent-tls-cert, --agent-tls-key and --agent-tls-ca", address.address);
  } else {
    SL_ASSIGN_OR_RETURN(credentials, api::MakeClientCredentials(tls.files));
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Nodes share no connection, even if two have the same address by mistake.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Despite its name, this also limits one attempt to connect.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectMilliseconds);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kMaxBackoffMilliseconds / 20);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxBackoffMilliseconds);
  if (!tls.name.empty()) arguments.SetSslTargetNameOverride(tls.name);
  return NodePtr(new Node(address, grpc::CreateCustomChannel(address.address, credentials, arguments)));
}

Node::Node(NodeAddress given, std::shared_ptr<grpc::Channel> channel)
    : given_(std::move(given)),
      channel_(std::move(channel)),
      stub_(v1::Sluice::NewStub(channel_)),
      web_stub_(web::Web::NewStub(channel_)) {}

std::string Node::name() const {
  if (!given_.name.empty()) return given_.name;
  const std::lock_guard lock(mutex_);
  return said_.empty() ? given_.address : said_;
}

bool Node::is_connected() const {
  const std::lock_guard lock(mutex_);
  return connected_;
}

NodeStatus Node::status() const {
  NodeStatus status;
  status.set_node(name());
  status.set_address(given_.address);
  status.set_events(counts_.events);
  status.set_late(counts_.late);
  status.set_refused(counts_.refused);
  status.set_renamed(counts_.renamed);
  const std::lock_guard lock(mutex_);
  status.set_state(connected_ ? NodeStatus::CONNECTED : NodeStatus::MISSING);
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(since_.time_since_epoch());
  *status.mutable_since() = google::protobuf::util::TimeUtil::MillisecondsToTimestamp(since.count());
  if (!connected_) status.set_problem(problem_);
  status.set_version(version_);
  return status;
}

bool Node::SetConnected(const std::string& said, const std::string& version) {
  const std::lock_guard lock(mutex_);
  const std::string name = IsName(said) ? said : "";
  const bool changed = !connected_ || said_ != name;
  if (!connected_) since_ = std::chrono::system_clock::now();
  connected_ = true;
  problem_.clear();
  said_ = name;
  version_ = Harmless(version);
  return changed;
}

bool Node::SetMissing(const std::string& problem) {
  const std::lock_guard lock(mutex_);
  const bool changed = connected_;
  if (connected_) since_ = std::chrono::system_clock::now();
  connected_ = false;
  problem_ = Harmless(problem);
  return changed;
}

}  // namespace sluice::cluster
