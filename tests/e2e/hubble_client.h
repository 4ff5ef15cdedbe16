// A client of Hubble's API, as `hubble` is one.
//   HubbleClient client("unix:///...");
//   const auto flows = client.Flows(request);
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "api/hubble_observer.grpc.pb.h"

namespace sluice::test {

class HubbleClient {
 public:
  explicit HubbleClient(const std::string& address)
      : stub_(observer::Observer::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))) {}

  // Past flows.
  std::vector<flow::Flow> Flows(const observer::GetFlowsRequest& request) const {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    const auto reader = stub_->GetFlows(&context, request);
    std::vector<flow::Flow> flows;
    for (observer::GetFlowsResponse response; reader->Read(&response);) {
      if (response.has_flow()) flows.push_back(response.flow());
    }
    const grpc::Status status = reader->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return flows;
  }

  observer::Observer::Stub& stub() { return *stub_; }

 private:
  std::unique_ptr<observer::Observer::Stub> stub_;
};

}  // namespace sluice::test
