// The agent's API from this process: changes without starting a program for each.
//   ApiClient api(fixture->agent().api_address());
//   SL_RETURN_IF_ERROR(api.Apply(yaml));
// Use a new client for each start of the agent: a call after a restart may use the old connection and fail.
// Thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "api/grpc_status.h"
#include "api/sluice.grpc.pb.h"

namespace sluice::test {

class ApiClient {
 public:
  explicit ApiClient(const std::string& address) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetMaxSendMessageSize(-1);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a client made after a restart opens a new connection
    channel_ = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
    stub_ = v1::Sluice::NewStub(channel_);
  }

  Status Apply(const std::string& yaml) {
    v1::ApplyRequest request;
    v1::Document& document = *request.add_documents();
    document.set_origin("test");
    document.set_yaml(yaml);
    grpc::ClientContext context;
    v1::ApplyReply reply;
    return api::FromGrpc(stub_->Apply(&context, request, &reply));
  }

  StatusOr<v1::AgentStatus> ReadStatus() {
    grpc::ClientContext context;
    v1::AgentStatus status;
    SL_RETURN_IF_ERROR(api::FromGrpc(stub_->Status(&context, {}, &status)));
    return status;
  }

  v1::Sluice::Stub& stub() { return *stub_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

 private:
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Sluice::Stub> stub_;
};

}  // namespace sluice::test
