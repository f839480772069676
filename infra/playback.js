// CloudFront function (runtime 2.0) on /live/* and /replay/*: checks the playback token in the path and takes it out.
//
//   /live/{token}/{stream}/index.m3u8  →  /live/{stream}/index.m3u8
//
// so that all viewers of a stream share one cache entry, and nobody gets in without a right. The token is a JWT
// (RFC 7519) with HS256, signed by functions/tokens.py: sub = the stream, aud = "play", exp in seconds.
// tests/infra/test_playback.py runs this file. The key is filled in by infra/relay.py.
var crypto = require('crypto');
var KEY = '__PLAYBACK_KEY__';

function refuse(message) {
    return {
        statusCode: 401,
        statusDescription: 'Unauthorized',
        headers: {
            'content-type': { value: 'application/json' },
            'cache-control': { value: 'no-store' },
            'access-control-allow-origin': { value: '*' },
        },
        body: { encoding: 'text', data: JSON.stringify({ error: { code: 'unauthenticated', message: message } }) },
    };
}

// Takes the same time wherever the first difference is, so that a signature cannot be guessed byte by byte.
function same(a, b) {
    if (a.length !== b.length) {
        return false;
    }
    var difference = 0;
    for (var i = 0; i < a.length; i++) {
        difference |= a.charCodeAt(i) ^ b.charCodeAt(i);
    }
    return difference === 0;
}

function decoded(part) {
    return JSON.parse(Buffer.from(part, 'base64url').toString());
}

function claimsOf(token) {
    var parts = token.split('.');
    if (parts.length !== 3 || token.length > 2048) {
        return null;
    }
    var signature = crypto.createHmac('sha256', KEY).update(parts[0] + '.' + parts[1]).digest('base64url');
    if (!same(signature, parts[2])) {
        return null;
    }
    try {
        return decoded(parts[0]).alg === 'HS256' ? decoded(parts[1]) : null;
    } catch (e) {
        return null;
    }
}

function handler(event) {
    var request = event.request;
    // '', 'live' or 'replay', token, stream, rest…
    var path = request.uri.split('/');
    if (path.length < 5) {
        return refuse('This link lacks its right to watch. Ask for a ticket, which has the playback URL.');
    }
    var claims = claimsOf(path[2]);
    if (!claims || claims.aud !== (path[1] === 'replay' ? 'replay' : 'play') || claims.sub !== path[3]) {
        return refuse('This right to watch is not valid here. Ask for a new ticket.');
    }
    if (!(claims.exp > Date.now() / 1000)) {
        return refuse('This right to watch has expired. Ask for a new ticket.');
    }
    path.splice(2, 1);
    request.uri = path.join('/');
    return request;
}
