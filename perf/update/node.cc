#include "perf/update/node.h"

#include "perf/elapsed.h"
#include "policy/resource/parser.h"
#include "testbed/netns.h"

namespace sluice::perf {
StatusOr<std::unique_ptr<Node>> Node::Create() {
  SL_ASSIGN_OR_RETURN(Scratch scratch, Scratch::Create());
  std::unique_ptr<Node> node(new Node(std::move(scratch)));
  SL_ASSIGN_OR_RETURN(node->store_, reconcile::StateStore::Open(node->scratch_.state_dir()));
  SL_ASSIGN_OR_RETURN(node->datapath_, datapath::BpfDatapath::Open({.bpf_root = node->scratch_.bpf_root()}));
  SL_RETURN_IF_ERROR(node->datapath_->Configure(SL_SETTING_REDIRECT));
  Node* const self = node.get();
  const auto save = [self](const reconcile::StateChange& change, const std::function<Status()>& enforce) {
    const Clock::time_point start = Clock::now();
    self->phases_.plan = Milliseconds(self->plan_start_, start);
    Status saved = self->store_->Save(change, [&] {
      const Clock::time_point enforce_start = Clock::now();
      Status enforced = enforce();
      self->phases_.enforce = Milliseconds(enforce_start, Clock::now());
      return enforced;
    });
    self->phases_.save = Milliseconds(start, Clock::now()) - self->phases_.enforce;
    return saved;
  };
  node->controller_ = std::make_unique<reconcile::Controller>(node->datapath_.get(),
                                                              reconcile::Node::Real(test::EnterForSockets()), save);
  SL_ASSIGN_OR_RETURN(auto state, node->store_->Load());
  SL_RETURN_IF_ERROR(node->controller_->Restore({}, std::move(state)));
  return node;
}

Status Node::Apply(const std::string& yaml) {
  const Clock::time_point start = Clock::now();
  SL_ASSIGN_OR_RETURN(const auto resources, policy::ParseResources("benchmark", yaml));
  plan_start_ = Clock::now();
  phases_ = {.parse = Milliseconds(start, plan_start_)};
  return controller_->Apply(resources).status();
}

Status Node::Delete(const policy::ResourceId& id) { return controller_->Delete({id}).status(); }

}  // namespace sluice::perf
