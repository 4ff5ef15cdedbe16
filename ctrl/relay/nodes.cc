#include "ctrl/relay/nodes.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/log.h"

namespace sluice::cluster {
namespace {

using namespace std::chrono_literals;

constexpr auto kLookAtNodes = 100ms;
constexpr int kLooksPerTls = 20;
constexpr std::size_t kNamed = 5;  // missing nodes in a line of text

// What changes with the files.
std::string FactsOf(const api::TlsFiles& files) {
  std::string facts;
  for (const std::string& path : {files.certificate, files.key, files.ca}) {
    struct stat found {};
    if (path.empty() || stat(path.c_str(), &found) != 0) continue;
    facts += fmt::format("{} {} {}.{};", found.st_ino, found.st_size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec);
  }
  return facts;
}

}  // namespace

Nodes::Nodes(Options options) : options_(std::move(options)), thread_([this] { Run(); }) {}

Nodes::~Nodes() {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  for (auto& [question, owned] : under_way_) question->context.TryCancel();
  changed_.notify_all();
  changed_.wait(lock, [this] { return under_way_.empty(); });
  lock.unlock();
  thread_.join();
}

void Nodes::Set(std::vector<NodeAddress> addresses, const std::string& source) {
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  const std::lock_guard lock(mutex_);
  left_out_ = addresses.size() - std::min(addresses.size(), options_.most);
  addresses.resize(addresses.size() - left_out_);
  source_ = source;
  problem_.clear();
  std::erase_if(watches_, [&](auto& one) {
    const bool stays = std::binary_search(addresses.begin(), addresses.end(), one.first);
    if (!stays && one.second.asked != nullptr) one.second.asked->context.TryCancel();
    return !stays;
  });
  for (const NodeAddress& address : addresses) {
    if (watches_.contains(address)) continue;
    auto node = Node::Make(address, options_.tls);
    if (!node.ok()) {
      problem_ = Message(node.status());
      LogError("{}", problem_);
      continue;
    }
    watches_[address].node = *std::move(node);
  }
  if (left_out_ != 0) LogError("{} nodes are left out: a relay hears at most {}", left_out_, options_.most);
  Changed();
}

void Nodes::SetProblem(const std::string& problem) {
  const std::lock_guard lock(mutex_);
  problem_ = Harmless(problem);
}

void Nodes::Changed() {
  ++version_;
  changed_.notify_all();
}

std::vector<NodePtr> Nodes::all() const {
  std::vector<NodePtr> nodes;
  const std::lock_guard lock(mutex_);
  for (const auto& [address, watch] : watches_) nodes.push_back(watch.node);
  std::sort(nodes.begin(), nodes.end(), [](const NodePtr& a, const NodePtr& b) {
    return std::pair(a->name(), a->address()) < std::pair(b->name(), b->address());
  });
  return nodes;
}

std::vector<NodePtr> Nodes::connected() const {
  std::vector<NodePtr> nodes = all();
  std::erase_if(nodes, [](const NodePtr& node) { return !node->is_connected(); });
  return nodes;
}

std::string Nodes::MissingText() const {
  const std::vector<NodePtr> nodes = all();
  if (nodes.empty()) return "the relay has no nodes yet";
  std::vector<std::string> missing;
  for (const NodePtr& node : nodes) {
    const NodeStatus status = node->status();
    if (status.state() != NodeStatus::CONNECTED)
      missing.push_back(fmt::format("{} ({})", status.node(), status.problem()));
  }
  if (missing.empty()) return "";
  const std::size_t more = missing.size() - std::min(missing.size(), kNamed);
  const std::size_t answer = nodes.size() - missing.size();
  missing.resize(missing.size() - more);
  return fmt::format("{} of {} nodes answer; missing: {}{}", answer, nodes.size(), fmt::join(missing, ", "),
                     more == 0 ? "" : fmt::format(" and {} more", more));
}

void Nodes::Describe(ClusterStatus* status) const {
  for (const NodePtr& node : all()) *status->add_nodes() = node->status();
  const std::lock_guard lock(mutex_);
  status->set_source(source_);
  status->set_problem(problem_);
  status->set_left_out(left_out_);
}

std::uint64_t Nodes::WaitForChange(std::uint64_t seen, std::chrono::milliseconds timeout) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, timeout, [&] { return stopping_ || version_ != seen; });
  return version_;
}

void Nodes::Run() {
  tls_seen_ = FactsOf(options_.tls.files);
  std::unique_lock lock(mutex_);
  for (int looks = 1; !stopping_; ++looks) {
    if (looks % kLooksPerTls == 0) FollowTls();
    answered_.clear();
    const auto now = Clock::now();
    for (auto& [address, watch] : watches_) Look(watch, now);
    changed_.wait_for(lock, kLookAtNodes, [this] { return stopping_; });
  }
}

// With mutex_ held. Files that cannot be used change nothing.
void Nodes::FollowTls() {
  std::string facts = FactsOf(options_.tls.files);
  if (facts == tls_seen_) return;
  tls_seen_ = std::move(facts);
  if (const Status usable = api::CheckTls(options_.tls.files); !usable.ok()) {
    LogError("the TLS files for agents have changed and cannot be used: {}", Message(usable));
    return;
  }
  LogInfo("the TLS files for agents have changed: new connections are made with them");
  for (auto& [address, watch] : watches_) {
    if (address.address.starts_with("unix:")) continue;
    auto node = Node::Make(address, options_.tls);
    if (!node.ok()) continue;
    if (watch.asked != nullptr) watch.asked->context.TryCancel();
    watch = {.node = *std::move(node)};
  }
  Changed();
}

// A connection that breaks is noticed at once, and so is one that is made again.
void Nodes::Look(Watch& watch, Clock::time_point now) {
  const bool ready = watch.node->channel().GetState(true) == GRPC_CHANNEL_READY;
  if (std::exchange(watch.was_ready, ready) != ready) watch.due = now;
  if (watch.asked == nullptr && watch.due <= now) Ask(watch);
}

// With mutex_ held.
void Nodes::Ask(Watch& watch) {
  auto owned = std::make_unique<Question>();
  Question* const question = owned.get();
  question->node = watch.node;
  question->context.set_deadline(std::chrono::system_clock::now() + options_.patience);
  watch.asked = question;
  under_way_[question] = std::move(owned);
  watch.node->stub().async()->Status(&question->context, &question->request, &question->answer,
                                     [this, question](grpc::Status status) { Answered(question, status); });
}

// Two agents that give one name would be taken for one node.
bool Nodes::Accept(Question& question, const grpc::Status& status) {
  Node& node = *question.node;
  if (!status.ok()) {
    // The agent is there, and has too much to do.
    if (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED && node.is_connected()) return false;
    const std::string why = status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED
                                ? fmt::format("no answer within {} s", options_.patience.count() / 1000.0)
                                : status.error_message();
    return node.SetMissing(why.empty() ? fmt::format("gRPC's error {}", static_cast<int>(status.error_code())) : why);
  }
  const std::string name = node.given().name.empty() ? question.answer.node() : node.given().name;
  for (const auto& [address, watch] : watches_) {
    if (watch.node.get() == &node || watch.node->name() != name || !watch.node->is_connected()) continue;
    return node.SetMissing(fmt::format("its agent says that it is {}, as the one at {} does", name, address.address));
  }
  return node.SetConnected(question.answer.node(), question.answer.version());
}

void Nodes::Answered(Question* question, const grpc::Status& status) {
  const std::lock_guard lock(mutex_);
  const auto found = watches_.find(question->node->given());
  if (!stopping_ && found != watches_.end() && found->second.asked == question) {
    Watch& watch = found->second;
    watch.asked = nullptr;
    const bool changed = Accept(*question, status);
    const NodeStatus now = watch.node->status();
    const bool connected = now.state() == NodeStatus::CONNECTED;
    if (changed && connected) LogInfo("node {} answers at {}", now.node(), now.address());
    if (changed && !connected) LogWarn("node {} at {} is missing: {}", now.node(), now.address(), now.problem());
    watch.pause = connected ? options_.interval : std::clamp(watch.pause * 2, options_.first_pause, options_.interval);
    if (changed && !connected) watch.pause = options_.first_pause;
    watch.due = Clock::now() + watch.pause;
    if (changed) Changed();
  }
  auto owned = under_way_.extract(question);
  answered_.push_back(std::move(owned.mapped()));
  changed_.notify_all();
}

}  // namespace sluice::cluster
