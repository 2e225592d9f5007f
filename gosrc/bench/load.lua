-- Copyright (C) the ngx_wsgi authors
-- SPDX-License-Identifier: Apache-2.0
--
-- What wrk tells when it has finished, as one line of JSON.  Times are
-- microseconds.

function done(summary, latency)
    local e = summary.errors
    io.write(string.format(
        '{"requests":%d,"duration":%d,"p50":%d,"p99":%d,"failed":%d,' ..
        '"broken":%d}\n', summary.requests, summary.duration,
        latency:percentile(50), latency:percentile(99), e.status,
        e.connect + e.read + e.write + e.timeout))
end
