//! Bearer tokens: which ones open the gateway.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use medsynapse_http::{Fetch, Scope, TokenError, TokenSettings, Tokens};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _};
use serde_json::{Value, json};

use crate::bed::Bed;

struct Issuer {
    id: &'static str,
    key: KeyPair,
}

impl Issuer {
    fn new(id: &'static str) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        Self { id, key }
    }

    fn jwk(&self) -> Value {
        let point = self.key.der_bytes();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id,
            "x": part(&point[1..33]), "y": part(&point[33..65]),
        })
    }

    fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.id.into());
        let key = EncodingKey::from_ec_der(&self.key.serialize_der());
        encode(&header, claims, &key).unwrap()
    }
}

fn settings() -> TokenSettings {
    TokenSettings {
        issuer: "https://login.example.org".into(),
        audience: "medsynapse".into(),
        ..TokenSettings::default()
    }
}

fn claims() -> Value {
    let now = get_current_timestamp();
    json!({
        "iss": "https://login.example.org", "aud": ["medsynapse", "other"], "sub": "ris-42",
        "iat": now, "nbf": now, "exp": now + 300, "scope": "openid read",
    })
}

/// A key set that can be exchanged, and how often it was asked for.
#[derive(Clone, Default)]
struct KeySet(Arc<Mutex<Vec<Value>>>, Arc<AtomicUsize>);

impl KeySet {
    fn of(keys: &[Value]) -> Self {
        let set = Self::default();
        *set.0.lock().unwrap() = keys.to_vec();
        set
    }

    fn fetch(&self) -> Arc<Fetch> {
        let set = self.clone();
        Arc::new(move || {
            set.1.fetch_add(1, Ordering::SeqCst);
            let keys = json!({ "keys": *set.0.lock().unwrap() });
            Box::pin(async move { Ok(keys.to_string().into_bytes()) })
        })
    }
}

#[tokio::test]
async fn a_token_opens_what_its_scopes_say() {
    let issuer = Issuer::new("one");
    let tokens = Tokens::new(settings(), KeySet::of(&[issuer.jwk()]).fetch()).unwrap();
    let bed = Bed::with(|app| app.access.tokens = Some(Arc::new(tokens))).await;
    let ask = |token: String, path: &'static str| {
        let bed = &bed;
        async move {
            let bearer = format!("Bearer {token}");
            bed.request("GET", path, &[("Authorization", &bearer)], b"")
                .await
                .status
        }
    };
    assert_eq!(ask(issuer.sign(&claims()), "/api/hl7/types").await, 200);
    assert_eq!(ask(issuer.sign(&claims()), "/api/v1/metrics").await, 403);
    assert_eq!(ask("x.y.z".into(), "/api/hl7/types").await, 401);
    let reply = bed.get("/api/hl7/types").await;
    assert_eq!(reply.error(), (401, "Unauthorized: Invalid API key".into()));
    assert_eq!(reply.header("www-authenticate"), Some("bearer"));
}

#[tokio::test]
async fn a_token_that_is_not_quite_right_opens_nothing() {
    let issuer = Issuer::new("one");
    let tokens = Tokens::new(settings(), KeySet::of(&[issuer.jwk()]).fetch()).unwrap();
    let good = tokens.check(&issuer.sign(&claims())).await.unwrap();
    assert_eq!(good.0, "ris-42");
    assert!(good.1.allow(Scope::Read) && !good.1.allow(Scope::Send));

    let now = get_current_timestamp();
    let changes = [
        ("iss", json!("https://evil.test")),
        ("aud", json!("another")),
        ("exp", json!(now - 31)),
        ("nbf", json!(now + 60)),
        ("iss", Value::Null),
        ("aud", Value::Null),
        ("exp", Value::Null),
    ];
    for (claim, value) in changes {
        let mut wrong = claims();
        if value.is_null() {
            wrong.as_object_mut().unwrap().remove(claim);
        } else {
            wrong[claim] = value.clone();
        }
        assert_eq!(
            tokens.check(&issuer.sign(&wrong)).await,
            None,
            "{claim} {value}"
        );
    }
    // Somebody else's key under a name that is known.
    assert_eq!(
        tokens.check(&Issuer::new("one").sign(&claims())).await,
        None
    );
    // Not signed at all, and signed with the public key as if it were a secret.
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let none = format!(
        "{}.{}.",
        part(json!({"alg": "none", "kid": "one"})),
        part(claims())
    );
    assert_eq!(tokens.check(&none).await, None);
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("one".into());
    let secret = EncodingKey::from_secret(issuer.key.der_bytes());
    let confused = encode(&header, &claims(), &secret).unwrap();
    assert_eq!(tokens.check(&confused).await, None);
    let token = issuer.sign(&claims());
    let (head, signature) = token.rsplit_once('.').unwrap();
    let mut payload = claims();
    payload["scope"] = json!("admin");
    let forged = format!(
        "{}.{}.{signature}",
        head.split_once('.').unwrap().0,
        part(payload)
    );
    assert_eq!(tokens.check(&forged).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_new_key_of_the_issuer_is_looked_for_and_not_too_often() {
    let (one, two) = (Issuer::new("one"), Issuer::new("two"));
    let set = KeySet::of(&[one.jwk()]);
    let tokens = Tokens::new(settings(), set.fetch()).unwrap();
    assert!(tokens.check(&one.sign(&claims())).await.is_some());
    for _ in 0..100 {
        assert!(tokens.check(&two.sign(&claims())).await.is_none());
    }
    assert_eq!(set.1.load(Ordering::SeqCst), 1);
    *set.0.lock().unwrap() = vec![two.jwk()];
    tokio::time::advance(Duration::from_secs(31)).await;
    assert!(tokens.check(&two.sign(&claims())).await.is_some());
    assert!(tokens.check(&one.sign(&claims())).await.is_none());
    assert_eq!(set.1.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_away_locks_nobody_out() {
    let issuer = Issuer::new("one");
    let set = KeySet::of(&[issuer.jwk()]);
    let (away, fetch) = (Arc::new(Mutex::new(false)), set.fetch());
    let gone = Arc::clone(&away);
    let fetch: Arc<Fetch> = Arc::new(move || {
        if *gone.lock().unwrap() {
            return Box::pin(async { Err("no answer".to_owned()) });
        }
        fetch()
    });
    let tokens = Tokens::new(settings(), fetch).unwrap();
    assert!(tokens.check(&issuer.sign(&claims())).await.is_some());
    *away.lock().unwrap() = true;
    tokio::time::advance(Duration::from_hours(1)).await;
    assert!(tokens.check(&issuer.sign(&claims())).await.is_some());
}

#[test]
fn settings_that_would_let_strangers_in() {
    let fetch = KeySet::default().fetch();
    let mut wrong = settings();
    wrong.algorithms = vec!["ES256".into(), "HS256".into()];
    let error = Tokens::new(wrong, Arc::clone(&fetch)).unwrap_err();
    assert_eq!(error, TokenError::Algorithm("HS256".into()));
    let mut wrong = settings();
    wrong.audience.clear();
    assert_eq!(
        Tokens::new(wrong, fetch).unwrap_err(),
        TokenError::NobodyNamed
    );
}
