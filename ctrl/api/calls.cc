#include "ctrl/api/calls.h"

#include <algorithm>

#include "base/log.h"
#include "base/printable.h"

namespace sluice::api {
namespace {

constexpr std::array<const char*, kCallKinds> kKindNames{
    "changes", "listings", "followers", "short requests", "quarantines", "listings of all flows", "reflection streams"};

std::vector<std::string> Properties(const grpc::AuthContext& auth, const char* name) {
  std::vector<std::string> values;
  for (const grpc::string_ref& value : auth.FindPropertyValues(name)) values.emplace_back(value.data(), value.size());
  return values;
}

}  // namespace

Call::~Call() {
  if (state_) state_->calls->End(state_.get());
}

void Calls::ReadCertificate(const grpc::AuthContext& auth, const std::string& peer, Caller* caller) const {
  std::vector<std::string> names = Properties(auth, "x509_common_name");
  std::ranges::copy(Properties(auth, "x509_subject_alternative_name"), std::back_inserter(names));
  const bool may_change =
      change_names_.empty() || std::any_of(names.begin(), names.end(), [&](const std::string& name) {
        return !name.empty() && std::find(change_names_.begin(), change_names_.end(), name) != change_names_.end();
      });
  caller->right = may_change ? Right::kChange : Right::kRead;
  caller->name = fmt::format("certificate {} from {}", PrintableWord(names.empty() ? "" : names.front()), peer);
}

StatusOr<Call> Calls::Begin(grpc::ServerContextBase* context, CallKind kind, ChangeCall change) {
  auto state = std::make_unique<Call::State>();
  state->bytes = change.bytes;
  state->context = context;
  state->kind = kind;
  if (auto begun = connections_->BeginCall(context->peer())) {
    state->connection = begun->connection;
    state->caller = std::move(begun->caller);
  }
  if (context->auth_context()->IsPeerAuthenticated()) {
    ReadCertificate(*context->auth_context(), context->peer(), &state->caller);
  }
  const Status admitted = Admit(*state, change.action);
  if (!admitted.ok()) {
    if (state->connection) connections_->EndCall(*state->connection);
    return admitted;
  }
  state->calls = this;
  {
    const std::lock_guard lock(mutex_);
    under_way_.insert(state.get());
  }
  return Call(std::move(state));
}

Status Calls::Admit(const Call::State& state, const char* action) {
  const Caller& caller = state.caller;
  const auto kind = static_cast<std::size_t>(state.kind);
  const bool changes = state.kind == CallKind::kChange || state.kind == CallKind::kQuarantine;
  if (caller.right < (changes ? Right::kChange : Right::kRead)) {
    Count(Refusal::kCallRight);
    const std::string why = caller.name + " may not change anything here, only read";
    if (changes) ReportRefused(action, caller, why);
    return MakeError(absl::StatusCode::kPermissionDenied, "{}", why);
  }
  const std::lock_guard lock(mutex_);
  Load& own = of_one_[{state.kind, caller.share}];
  const std::size_t places = limits_.total[kind] - (caller.root ? 0 : limits_.of_root[kind]);
  const bool full = total_[kind] >= places || (bytes_ != 0 && bytes_ + state.bytes > limits_.change_bytes);
  const bool own_full =
      own.calls >= limits_.of_one[kind] || (own.bytes != 0 && own.bytes + state.bytes > limits_.change_bytes / 2);
  if (full || (!caller.root && own_full)) {
    const std::size_t under_way = full ? total_[kind] : own.calls;
    if (own.calls == 0) of_one_.erase({state.kind, caller.share});
    Count(Refusal::kCallLimit);
    return MakeError(absl::StatusCode::kResourceExhausted,
                     "{} {} are under way already{}: end one of them, or try again", under_way, kKindNames[kind],
                     full ? "" : ", all of " + caller.share);
  }
  own.calls++;
  own.bytes += state.bytes;
  total_[kind]++;
  bytes_ += state.bytes;
  return OkStatus();
}

void Calls::ReportRefused(const char* action, const Caller& caller, const std::string& why) {
  if (!report_) return;
  std::optional<std::uint64_t> unreported;
  {
    const std::lock_guard lock(mutex_);
    unreported = refusal_rate_.Admit(caller.share, Connections::Clock::now());
  }
  if (!unreported) return;
  report_(action, caller, *unreported == 0 ? why : fmt::format("{} ({} more before it)", why, *unreported));
}

void Calls::End(Call::State* state) {
  {
    const std::lock_guard lock(mutex_);
    under_way_.erase(state);
    total_[static_cast<std::size_t>(state->kind)]--;
    bytes_ -= state->bytes;
    const auto own = of_one_.find({state->kind, state->caller.share});
    own->second.bytes -= state->bytes;
    if (--own->second.calls == 0) of_one_.erase(own);
  }
  if (state->connection) connections_->EndCall(*state->connection);
}

void Calls::EndSlow(Connections::Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  for (Call::State* state : under_way_) {
    const std::int64_t since = state->waits_since_ns;
    const bool stuck = since != 0 && now.time_since_epoch() - std::chrono::nanoseconds(since) >= limits_.slow_reader;
    const bool lists = state->kind == CallKind::kRead || state->kind == CallKind::kLarge;
    const bool endless = lists && now - state->begun >= limits_.listing;
    if (state->cut || (!stuck && !endless)) continue;
    state->cut = true;
    Count(Refusal::kSlowReader);
    LogWarn("{}: a stream is ended, because its client does not read it", state->caller.name);
    state->context->TryCancel();
  }
}

std::vector<std::pair<std::string, std::uint64_t>> Calls::RefusedByCause() const {
  std::vector<std::pair<std::string, std::uint64_t>> counts;
  for (std::size_t i = 0; i < kRefusalNames.size(); ++i) counts.emplace_back(kRefusalNames[i], refused_[i]);
  return counts;
}

}  // namespace sluice::api
